from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import JUnitXml

import harness.stack
from harness.cli.play import demo, scenario
from harness.errors import NotRunning
from harness.play.errors import ScenarioNotFound
from harness.stack import RunningStack, attach

SLOW = """
from __future__ import annotations
from harness import Stage, scenario

@scenario("Slow", tags={"demo"})
def slow(stage: Stage) -> None:
    with stage.step("Wait", budget=0):
        pass
"""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            env={**os.environ, "HARNESS_RUNS": str(tmp_path / "runs")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture
def up(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> RunningStack:
    """The session's stack in the place of one that `harness up` runs."""
    monkeypatch.setattr(harness.stack, "attach", lambda: attach(stack.run_id))
    return stack


@pytest.mark.parametrize("name", ["scenario", "demo"])
def test_help_has_examples(command: Command, name: str) -> None:
    done = command(name, "--help")
    assert done.returncode == 0
    assert f"Examples:\n    harness {name}" in done.stdout


def test_scenarios_are_listed(command: Command) -> None:
    done = command("scenario", "--list", "--json")
    listed = json.loads(done.stdout)
    assert {"admin_edit_reaches_clients", "two_people_chat", "job_progress_is_live"} <= {one["name"] for one in listed}
    assert all(one["title"] and one["about"] and one["tags"] for one in listed)
    assert "two_people_chat" in command("scenario", "--list").stdout


def test_the_browser_is_found_and_told(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho Chromium 150.0.1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("HARNESS_CHROMIUM", str(program))
    found = {"path": str(program), "version": "150.0.1", "source": "HARNESS_CHROMIUM"}
    assert json.loads(command("browser", "--json").stdout) == found
    assert command("browser").stdout == f"{program}  150.0.1  (HARNESS_CHROMIUM)\n"
    program.unlink()
    done = command("scenario", "--eyes")
    assert done.returncode == 20
    assert done.stderr.startswith(f"HARNESS_CHROMIUM names {program}, which does not answer")
    assert "unset HARNESS_CHROMIUM" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint", "code"),
    [
        (["scenario", "nonsense"], "There is no scenario 'nonsense'.\nThere are: ", 2),
        (["demo", "nonsense"], "There is no scenario 'nonsense'.\nThere are: ", 2),
        (["scenario", "--target", "http://127.0.0.1:1"], "--target and --users belong together", 2),
        (["scenario", "--target", "http://127.0.0.1:1", "--users", "/nowhere.json"], "/nowhere.json can't be read", 15),
        (["scenario", "--safe"], "--safe and --yes are for a --target", 2),
        (["scenario", "--safe", "--yes", "--target", "http://x", "--users", "x"], "choose one", 2),
        (["demo", "--services", "magic"], "'magic' is not one of", 2),
    ],
)
def test_bad_use_is_explained(command: Command, arguments: list[str], complaint: str, code: int) -> None:
    done = command(*arguments)
    assert done.returncode == code
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["scenario", "demo"])
def test_nothing_to_play_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "scenarios").mkdir()
    monkeypatch.chdir(tmp_path)
    played = {"scenario": scenario, "demo": demo}[name]
    with pytest.raises(ScenarioNotFound, match="nothing was played") as caught:
        played.main([], standalone_mode=False)
    assert caught.value.exit_code == 2


def test_a_target_that_is_not_there_is_one_sentence(command: Command, tmp_path: Path) -> None:
    people = tmp_path / "people.json"
    people.write_text(json.dumps([{"name": name, "password": "word"} for name in ("alice", "bob", "carol")]))
    done = command("scenario", "two_people_chat", "--target", "http://127.0.0.1:1", "--users", str(people))
    assert done.returncode == 24
    assert done.stderr.startswith("http://127.0.0.1:1 can't be reached: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_scenarios_play_anywhere_by_address(command: Command, stack: RunningStack, tmp_path: Path) -> None:
    users = str(stack.folder / "users.json")
    done = command("scenario", "two_people_chat", "--json", "--safe", "--target", stack.urls.app, "--users", users)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["app"] == stack.urls.app
    (play,) = report["scenarios"]
    assert (play["name"], play["passed"]) == ("two_people_chat[web]", True)
    assert play["deliveries"][0]["count"] == 6
    (run,) = (tmp_path / "runs").iterdir()
    (suite,) = JUnitXml.fromfile(str(run / "junit.xml"))
    assert (suite.tests, suite.failures, suite.errors) == (1, 0, 0)
    # It says that it is for development, so there is nothing to be careful about.
    assert "nothing is written" not in done.stderr
    for user in stack.users:
        assert user.password not in done.stdout + done.stderr


def test_a_demo_plays_on_the_stack_that_is_up_and_leaves_it(
    up: RunningStack, capsys: pytest.CaptureFixture[str]
) -> None:
    code = demo.main(["admin_edit_reaches_clients", "--no-hold"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert code == 0
    for text in ("1/1", "“No reload, no polling: watch the name change.”", "✔ An admin renames Bob", " of 10 s"):
        assert text in shown
    # Here is a browser, so the people sit at it.
    assert "6 pictures of the windows: " in shown
    assert f"harness status --run {up.run_id}" in shown
    for text in (up.urls.app, up.urls.admin, "alice-demo", "admin-demo", "report.html"):
        assert text in shown
    assert up.resource("backend-1").state == "ready"


def test_a_rehearsal_fails_where_a_step_is_over_its_budget(
    up: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "slow_story.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert scenario.main(["--json"], standalone_mode=False) == 0
    assert json.loads(capsys.readouterr().out)["scenarios"][0]["steps"][0]["over_budget"] is True
    assert scenario.main(["--rehearse"], standalone_mode=False) == 1
    assert "OverBudget: 'Wait' took" in capsys.readouterr().out


def test_without_a_stack_one_is_started(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nothing_is_up() -> RunningStack:
        raise NotRunning("No stack is up.")

    def start(options: object, **_: object) -> RunningStack:
        raise NotRunning(f"would start {options}")

    monkeypatch.setattr(harness.stack, "attach", nothing_is_up)
    monkeypatch.setattr(harness.stack, "start_stack", start)
    with pytest.raises(NotRunning, match=r"would start .*services='embedded', scale=\{'backend': 2\}"):
        demo.main(["--services", "embedded"], standalone_mode=False)
