"""``harness fault``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import psutil
import pytest

from harness.cli.fault import fault
from harness.errors import HarnessError
from harness.faults.catalogue import FAULTS
from harness.folders import CHECKOUT, Folders
from harness.stack import RunningStack
from harness.tests.helpers import eventually, fake, start_fakes


@pytest.fixture
def web(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningStack]:
    monkeypatch.setenv("HARNESS_RUNS", str(folders.runs))
    with start_fakes(folders, fake("web"), up=True) as stack:
        yield stack


def is_stopped(stack: RunningStack) -> bool:
    pid = stack.resource("web").pid
    return pid is not None and psutil.Process(pid).status() == psutil.STATUS_STOPPED


def test_it_breaks_for_a_while_and_tells(web: RunningStack, capsys: pytest.CaptureFixture[str]) -> None:
    assert fault.main(["web", "frozen", "--for", "0.2", "--json"], standalone_mode=False) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert (told["run"], told["fault"], told["resources"]) == (web.run_id, "frozen", ["web"])
    assert told["seconds"] >= 0.2
    assert "web: frozen until 0.2 s are over" in shown.err
    assert "web: whole again" in shown.err
    assert not is_stopped(web)


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "fault", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_whoever_ends_it_ends_the_fault(web: RunningStack, number: signal.Signals, code: int) -> None:
    with command("web", "frozen") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "web: frozen until Ctrl-C\n"
        assert is_stopped(web)
        running.send_signal(number)
        _, told = running.communicate(timeout=20)
    assert running.returncode == code, told
    assert "Traceback" not in told
    eventually(lambda: not is_stopped(web), within=5, what="it goes on")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["web", "tickled"], "Nothing can be 'tickled'"),
        (["web", "latency", "seconds=1"], "web can't be latency"),
        (["database", "killed"], "no resource of the kind 'database'"),
    ],
)
def test_wrong_words_break_nothing(web: RunningStack, arguments: list[str], told: str) -> None:
    with pytest.raises(HarnessError, match=told):
        fault.main(arguments, standalone_mode=False)
    assert not is_stopped(web)


@pytest.mark.parametrize("arguments", [["web"], [], ["web", "frozen", "seconds"], ["web", "frozen", "--for", "0"]])
def test_half_a_command_is_refused(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        fault.main(arguments, standalone_mode=False)


def test_all_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    fault.main(["--list"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert all(one.about in shown for one in FAULTS.values())
    assert "latency seconds=NUMBER [jitter=0]" in shown
    fault.main(["--list", "--json"], standalone_mode=False)
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(FAULTS)
    assert listed["paused"]["kinds"] == ["redis"]


def test_without_a_stack_one_is_told_how_to_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_RUNS", str(tmp_path / "runs"))
    with pytest.raises(HarnessError, match="No stack is up"):
        fault.main(["redis", "killed"], standalone_mode=False)
