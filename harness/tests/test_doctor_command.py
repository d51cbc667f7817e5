"""``harness doctor``: all checks side by side, for people and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.doctor.catalogue import CHECKS
from harness.doctor.check import Check, Finding, Ground, bad, ok
from harness.doctor.examine import examine
from harness.tests.doctoring import write


def test_a_check_that_raises_or_hangs_does_not_keep_the_others() -> None:
    release = threading.Event()

    def hangs(_ground: Ground) -> Finding:
        release.wait(60)
        return ok("too late")

    def raises(_ground: Ground) -> Finding:
        raise ZeroDivisionError("at postgres://ada:s3cret-w0rd@db/x")

    told: list[str] = []
    checks = [
        Check(name="hangs", look=hangs),
        Check(name="raises", look=raises),
        Check(name="bad", look=lambda _: bad("no", fix="yes")),
    ]
    try:
        results = examine(checks, Ground(), within=1, on_result=lambda result: told.append(result.name))
    finally:
        release.set()
    assert [(result.name, result.state) for result in results] == [("hangs", "warn"), ("raises", "bad"), ("bad", "bad")]
    assert results[0].finding == "no answer within 1 s"
    assert "ZeroDivisionError: at postgres://db/x" in results[1].finding
    assert told[-1] == "hangs"
    assert sorted(told) == ["bad", "hangs", "raises"]


Doctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        places = {"HARNESS_RUNS": str(tmp_path / "runs"), "COLUMNS": "60", **environ}
        return subprocess.run(
            [sys.executable, "-m", "harness", "doctor", "--offline", *arguments],
            env={**os.environ, **places},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_command_tells_all_as_json(doctor: Doctor, tmp_path: Path) -> None:
    broken = str(tmp_path / "none")
    done = doctor("--json", HARNESS_CHROMIUM=broken)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert set(told) == {"ok", "seconds", "checks"}
    assert told["ok"] is False
    assert told["seconds"] < 5
    assert [check["name"] for check in told["checks"]] == [check.name for check in CHECKS if not check.online]
    by_name = {check["name"]: check for check in told["checks"]}
    assert set(by_name["browser"]) == {"name", "state", "finding", "fix"}
    assert by_name["browser"]["state"] == "bad"
    assert broken in by_name["browser"]["finding"]
    assert "unset HARNESS_CHROMIUM" in by_name["browser"]["fix"]
    assert all(check["fix"] for check in told["checks"] if check["state"] != "ok")


def test_the_command_tells_people_what_to_do(doctor: Doctor, tmp_path: Path) -> None:
    done = doctor(HARNESS_CHROMIUM=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "✘ browser" in done.stdout
    assert "→ Name a Chromium that runs" in done.stdout
    assert "1 bad" in done.stdout
    assert all(len(line) <= 60 or "/" in line for line in done.stdout.splitlines())


def test_without_trouble_the_exit_code_is_0(doctor: Doctor) -> None:
    done = doctor("--json")
    told = json.loads(done.stdout)
    assert [check for check in told["checks"] if check["state"] == "bad"] == []
    assert done.returncode == 0


def test_it_works_where_almost_nothing_else_does(doctor: Doctor, tmp_path: Path) -> None:
    """No PATH, no home, and of the installed packages only what the command line is made of."""
    hidden = ("psutil", "docker", "rich", "httpx", "playwright", "packaging", "psycopg", "redis", "watchfiles")
    write(tmp_path / "hide" / "sitecustomize.py", f"import sys\nsys.modules.update(dict.fromkeys({hidden!r}))\n")
    done = doctor("--json", PATH=str(tmp_path), HOME=str(tmp_path), PYTHONPATH=f"{tmp_path}/hide", HARNESS_NODE="")
    assert "Traceback" not in done.stderr
    told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert len(told) == len([check for check in CHECKS if not check.online])
    assert told["environment"]["state"] == "bad"
    assert told["python"]["state"] == "ok"


def test_help_has_examples(doctor: Doctor) -> None:
    assert "Examples:\n    harness doctor" in doctor("--help").stdout
