from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from junitparser import JUnitXml

from harness.play.errors import LostDelivery
from harness.play.observers import Step
from harness.play.recorder import Recorder
from harness.play.runner import Play
from harness.play.scenario import Scenario, scenario
from harness.play.stage import Stage
from harness.report import REPORT_JSON, REPORT_JUNIT, write_report


@scenario("A story <&> more", tags={"demo"})
def story(stage: Stage) -> None:
    """Nothing happens."""


def play(failure: Exception | None = None, *, one: Scenario = story) -> Play:
    recorder = Recorder()
    recorder.step(Step(title="Look", cue="Now.", budget=1))
    recorder.step(Step(title="Look", cue="Now.", budget=1, seconds=1.5))
    for ms in range(1, 101):
        recorder.delivery("message", float(ms), None)
    recorder.delivery("message", 9000.0, "lost: 'hello'")
    recorder.request("GET", "/api/session", 3.0, None)
    return Play(
        scenario=one,
        began=datetime(2026, 1, 2, tzinfo=UTC),
        seconds=2.0,
        steps=recorder.steps,
        requests=recorder.requests,
        deliveries=recorder.deliveries,
        failure=failure,
        trace="" if failure is None else f"Traceback: {failure}",
        evidence=Path("/somewhere/plays/story"),
    )


def test_the_report_tells_steps_budgets_and_deliveries(tmp_path: Path) -> None:
    write_report(tmp_path / "run", [play(), play(LostDelivery("1 lost"))], run="r1", app="http://127.0.0.1:1")
    report = json.loads((tmp_path / "run" / REPORT_JSON).read_text(encoding="utf-8"))
    assert (report["run"], report["passed"]) == ("r1", False)
    first, second = report["scenarios"]
    assert (first["passed"], first["error"], second["error"]) == (True, None, "LostDelivery: 1 lost")
    assert first["steps"] == [
        {"title": "Look", "cue": "Now.", "budget": 1, "seconds": 1.5, "over_budget": True, "error": None}
    ]
    assert first["deliveries"] == [
        {"name": "message", "count": 101, "failed": 1, "p50_ms": 51.0, "p95_ms": 96.0, "max_ms": 100.0}
    ]
    assert second["evidence"] == "/somewhere/plays/story"


def test_junit_tells_failures_from_errors(tmp_path: Path) -> None:
    # Control characters may stand in whatever a server sent, and have no place in XML.
    plays = [play(), play(LostDelivery("a \x1b[31m <b> ]]> lost")), play(RuntimeError("broken \x00"))]
    write_report(tmp_path, plays, run="r1", app="http://127.0.0.1:1")
    (suite,) = JUnitXml.fromfile(str(tmp_path / REPORT_JUNIT))
    assert (suite.tests, suite.failures, suite.errors) == (3, 1, 1)
    passed, failed, broken = suite
    assert (passed.is_passed, failed.is_failure, broken.is_error) == (True, True, True)
    assert failed.result[0].type == "LostDelivery"
    assert "<b> ]]> lost" in failed.result[0].message
    assert "evidence: /somewhere/plays/story" in failed.system_err
    assert "Look: 1.50 s of 1 s, over budget" in passed.system_out
    assert passed.classname == __name__


def test_a_run_without_plays_has_a_valid_report(tmp_path: Path) -> None:
    write_report(tmp_path, [], run="r1", app="http://127.0.0.1:1")
    report = json.loads((tmp_path / REPORT_JSON).read_text(encoding="utf-8"))
    assert (report["scenarios"], report["passed"]) == ([], False)
    (suite,) = JUnitXml.fromfile(str(tmp_path / REPORT_JUNIT))
    assert suite.tests == 0
