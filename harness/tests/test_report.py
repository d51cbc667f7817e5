from __future__ import annotations

import json
from pathlib import Path

from junitparser import JUnitXml

from harness.actors.errors import NotSeen, View
from harness.play.errors import LostDelivery
from harness.play.observers import Step
from harness.play.recorder import Recorder
from harness.report import REPORT_HTML, REPORT_JSON, REPORT_JUNIT, write_report
from harness.tests.reporting import LOOK, a_moment, a_play


def test_the_report_tells_steps_budgets_and_deliveries(tmp_path: Path) -> None:
    write_report(tmp_path / "run", [a_play(), a_play(LostDelivery("1 lost"))], run="r1", app="http://127.0.0.1:1")
    report = json.loads((tmp_path / "run" / REPORT_JSON).read_text(encoding="utf-8"))
    assert (report["schema"], report["run"], report["passed"], report["seconds"]) == (1, "r1", False, 4.0)
    assert report["began"] == "2026-01-02T03:04:05+00:00"
    assert "Python" in report["versions"]
    first, second = report["scenarios"]
    assert (first["passed"], first["error"], second["error"]) == (True, None, "LostDelivery: 1 lost")
    assert first["about"].startswith("Nothing happens.")
    assert first["repeat"] == "harness scenario story"
    assert first["steps"] == [
        {"title": "Look", "cue": "Now.", "budget": 1, "at": 0.25, "seconds": 1.5, "over_budget": True, "error": None}
    ]
    assert first["deliveries"] == [
        {"name": "message", "count": 101, "failed": 1, "p50_ms": 51.0, "p95_ms": 96.0, "max_ms": 100.0}
    ]
    assert second["evidence"] == "/somewhere/plays/story"


def test_the_report_sums_up_what_happened(tmp_path: Path) -> None:
    view = View(actor="bob", screen="/profile/", lines=["Bob"], frames=["{}"], connection="live")
    broken = Step(title="See", cue=None, budget=None, seconds=0.2, at=1.75, error="NotSeen")
    moments = [
        a_moment(1.8, "wrong", kind="screenshot", file="02.jpg", failed=True),
        a_moment(0.5, "fine", kind="screenshot", file="01.jpg"),
        a_moment(0.1, "oh", kind="console", actor="alice"),
        a_moment(0.2, "GET / 500", kind="request", failed=True),
        a_moment(0.3, kind="frame"),
    ]
    play = a_play(NotSeen("does not see 'Robert'", view), steps=[LOOK, broken], moments=moments)
    write_report(tmp_path, [play], run="r1", app="http://127.0.0.1:1")
    (told,) = json.loads((tmp_path / REPORT_JSON).read_text(encoding="utf-8"))["scenarios"]
    assert told["failure"] == {
        "type": "NotSeen",
        "claim": "bob does not see 'Robert'",
        "step": 2,
        "details": "",
        "view": {"actor": "bob", "screen": "/profile/", "connection": "live", "lines": ["Bob"], "frames": ["{}"]},
    }
    assert told["moments"] == {
        "count": 5,
        "failed": 2,
        "kinds": {"console": 1, "request": 1, "frame": 1, "screenshot": 2},
        "actors": {"alice": 1, "bob": 4},
    }
    assert [(one["file"], one["step"], one["failed"]) for one in told["screenshots"]] == [
        ("01.jpg", 1, False),
        ("02.jpg", 2, True),
    ]
    assert [one["text"] for one in told["troubles"]] == ["oh", "GET / 500"]


def test_a_step_is_placed_by_its_own_beginning() -> None:
    recorder = Recorder()
    recorder.step(Step(title="Look", cue=None, budget=None))
    recorder.step(Step(title="Look", cue=None, budget=None, seconds=0.0))
    recorder.step(Step(title="Look again", cue=None, budget=None, seconds=3600.0))
    first, second = recorder.steps
    assert first.at is not None
    assert 0 <= first.at < 60
    assert second.at == 0.0


def test_junit_tells_failures_from_errors(tmp_path: Path) -> None:
    # Control characters may stand in whatever a server sent, and have no place in XML.
    plays = [a_play(), a_play(LostDelivery("a \x1b[31m <b> ]]> lost")), a_play(RuntimeError("broken \x00"))]
    write_report(tmp_path, plays, run="r1", app="http://127.0.0.1:1")
    (suite,) = JUnitXml.fromfile(str(tmp_path / REPORT_JUNIT))
    assert (suite.tests, suite.failures, suite.errors) == (3, 1, 1)
    passed, failed, broken = suite
    assert (passed.is_passed, failed.is_failure, broken.is_error) == (True, True, True)
    assert failed.result[0].type == "LostDelivery"
    assert "<b> ]]> lost" in failed.result[0].message
    assert "evidence: /somewhere/plays/story" in failed.system_err
    assert "Look: 1.50 s of 1 s, over budget" in passed.system_out
    assert passed.classname == story_module()


def story_module() -> str:
    return a_play().scenario.module


def test_a_run_without_plays_has_a_valid_report(tmp_path: Path) -> None:
    write_report(tmp_path, [], run="r1", app="http://127.0.0.1:1")
    report = json.loads((tmp_path / REPORT_JSON).read_text(encoding="utf-8"))
    assert (report["scenarios"], report["passed"], report["began"]) == ([], False, None)
    (suite,) = JUnitXml.fromfile(str(tmp_path / REPORT_JUNIT))
    assert suite.tests == 0
    assert "Nothing was played" in (tmp_path / REPORT_HTML).read_text(encoding="utf-8")
