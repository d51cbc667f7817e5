"""The load tests as processes of their own: locust patches the whole process that it runs in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.faults.catalogue import fault
from harness.folders import CHECKOUT
from harness.stack import RunningStack


def run_locust(
    stack: RunningStack | None, people: Path | str, *arguments: str, seconds: float = 90
) -> subprocess.CompletedProcess[str]:
    host = [] if stack is None else ["--host", ",".join(stack.backends)]
    return subprocess.run(
        [sys.executable, "-m", "locust", "-f", "loadtests/chat.py", "--headless", *host, *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "ACTORS": str(people)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.fixture
def people(stack: RunningStack, tmp_path: Path) -> Path:
    """Enough for two plays at a time."""
    file = tmp_path / "people.json"
    file.write_text(stack.manage("actors", "--count", "6", "--json").stdout, encoding="utf-8")
    return file


def counts(report: str, kind: str) -> tuple[int, int]:
    """Requests and failures of one kind, from locust's JSON."""
    rows = [row for row in json.loads(report) if row["method"] == kind]
    return sum(row["num_requests"] for row in rows), sum(row["num_failures"] for row in rows)


def test_many_play_at_once_with_true_latencies_and_take_turns(stack: RunningStack, people: Path) -> None:
    done = run_locust(stack, people, "--users", "4", "--spawn-rate", "4", "--run-time", "6s", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    plays, failed = counts(done.stdout, "PLAY")
    deliveries, lost = counts(done.stdout, "LIVE")
    assert plays >= 4
    assert (failed, lost) == (0, 0)
    # Two messages, each for three devices.
    assert deliveries == 6 * plays
    assert done.stderr.count("they take turns") == 1


def test_what_does_not_arrive_fails_the_run(stack: RunningStack, people: Path) -> None:
    with fault(stack, "relay", "frozen"):
        done = run_locust(stack, people, "--users", "1", "--run-time", "3s", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    assert counts(done.stdout, "PLAY")[1] >= 1


def test_missing_people_and_addresses_are_explained(tmp_path: Path) -> None:
    assert "--host" in run_locust(None, tmp_path / "people.json", "--run-time", "1s").stderr
    done = run_locust(None, "", "--host", "http://127.0.0.1:1", "--run-time", "1s")
    assert done.returncode == 1
    assert "harness manage actors" in done.stderr
    assert "Traceback" not in done.stderr
    done = run_locust(None, tmp_path / "none.json", "--host", "http://127.0.0.1:1", "--run-time", "1s")
    assert "none.json can't be read" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--users", "0"], "no number of users"),
        (["--run-time", "soon"], "no time such as 30s, 2m or 1h30m"),
        (["--run-time", "0m0s"], "give at least 1s"),
        (["--break", "redis"], "--break wants KIND HOW"),
        (["--break", "redis", "latency", "seconds=much"], "--break wants KIND HOW"),
    ],
)
def test_bad_options_start_nothing(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "HARNESS_RUNS": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.heavy
def test_load_goes_on_while_redis_is_killed(tmp_path: Path) -> None:
    command = ("--users", "3", "--run-time", "15s", "--break", "redis", "killed")
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", *command, "--html", str(tmp_path / "load.html")],
        cwd=CHECKOUT,
        env={**os.environ, "HARNESS_RUNS": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "broken: redis: killed" in done.stdout
    assert "whole again: redis" in done.stdout
