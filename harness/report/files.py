"""Writes the report files of a run."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from junitparser import Error as JUnitError
from junitparser import Failure, JUnitXml, TestCase, TestSuite

from harness.play.observers import Step
from harness.play.recorder import Timing
from harness.play.runner import Play

REPORT_JSON = "report.json"
REPORT_JUNIT = "junit.xml"

# XML 1.0 has no way to write these, not even escaped.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def report(plays: Sequence[Play], *, run: str, app: str) -> dict[str, Any]:
    """The report of a run as plain data; times in seconds unless the name ends in ``_ms``."""
    return {
        "run": run,
        "app": app,
        "passed": bool(plays) and all(play.passed for play in plays),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "scenarios": [_scenario(play) for play in plays],
    }


def write_report(folder: Path, plays: Sequence[Play], *, run: str, app: str) -> None:
    """Write ``report.json`` and ``junit.xml`` into the run folder; `app`: the address played against."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report(plays, run=run, app=app), indent=2, ensure_ascii=False)
    (folder / REPORT_JSON).write_text(f"{content}\n", encoding="utf-8")
    junit(plays).write(str(folder / REPORT_JUNIT), pretty=True)


def junit(plays: Sequence[Play]) -> JUnitXml:
    """The plays as a JUnit suite: a claim that did not hold is a failure, other trouble an error."""
    suite = TestSuite("scenarios")
    for play in plays:
        case = TestCase(play.scenario.name, classname=play.scenario.module, time=round(play.seconds, 3))
        if play.failure is not None:
            kind = Failure if isinstance(play.failure, AssertionError) else JUnitError
            verdict = kind(_xml(str(play.failure)), type(play.failure).__name__)
            verdict.text = _xml(play.trace)
            case.result = [verdict]
        case.system_out = _xml("\n".join(_line(step) for step in play.steps))
        if play.evidence is not None and not play.passed:
            case.system_err = f"evidence: {play.evidence}"
        suite.add_testcase(case)
    xml = JUnitXml()
    xml.add_testsuite(suite)
    return xml


def _scenario(play: Play) -> dict[str, Any]:
    return {
        "name": play.scenario.name,
        "title": play.scenario.title,
        "tags": sorted(play.scenario.tags),
        "began": play.began.isoformat(),
        "seconds": round(play.seconds, 3),
        "passed": play.passed,
        "error": play.error,
        "evidence": None if play.evidence is None else str(play.evidence),
        "steps": [_step(step) for step in play.steps],
        "requests": [_timing(timing) for timing in play.requests],
        "deliveries": [_timing(timing) for timing in play.deliveries],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "title": step.title,
        "cue": step.cue,
        "budget": step.budget,
        "seconds": None if step.seconds is None else round(step.seconds, 3),
        "over_budget": step.over_budget,
        "error": step.error,
    }


def _timing(timing: Timing) -> dict[str, Any]:
    return {
        "name": timing.name,
        "count": timing.count,
        "failed": timing.failed,
        "p50_ms": round(timing.p50, 1),
        "p95_ms": round(timing.p95, 1),
        "max_ms": round(timing.max, 1),
    }


def _line(step: Step) -> str:
    verdict = "failed" if step.error else "over budget" if step.over_budget else "ok"
    budget = "" if step.budget is None else f" of {step.budget:g} s"
    return f"{step.title}: {step.seconds or 0:.2f} s{budget}, {verdict}"


def _xml(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
