"""Writes the report files of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from junitparser import Error as JUnitError
from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.play.observers import Step
from harness.play.runner import Play
from harness.play.verdict import verdict
from harness.report.cleaning import Cleaner
from harness.report.data import Repeat, again, report
from harness.report.facts import log_ends, resources, versions
from harness.report.plays import write_plays_page

REPORT_HTML = "report.html"
REPORT_JSON = "report.json"
REPORT_JUNIT = "junit.xml"


def write_report(
    folder: Path,
    plays: Sequence[Play],
    *,
    run: str,
    app: str,
    repeat: Repeat = again,
    secrets: Iterable[str] = (),
) -> None:
    """Write ``report.json``, ``junit.xml`` and ``report.html`` into the run folder.

    `app`: the address played against; `repeat` gives the command to play the same again; `secrets` are kept
    out besides the passwords and keys of the run folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cleaner = Cleaner.of_run(folder, secrets)
    content = report(
        plays, run=run, app=app, cleaner=cleaner, resources=resources(folder), versions=versions(), repeat=repeat
    )
    (folder / REPORT_JSON).write_text(f"{json.dumps(content, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
    junit(plays, cleaner=cleaner).write(str(folder / REPORT_JUNIT), pretty=True)
    logs = log_ends(folder) if any(play.failure for play in plays) else ()
    write_plays_page(folder / REPORT_HTML, content, plays, cleaner=cleaner, logs=logs)


def junit(plays: Sequence[Play], *, cleaner: Cleaner) -> JUnitXml:
    """The plays as a JUnit suite: a claim that did not hold is a failure, other trouble an error."""
    suite = TestSuite("scenarios")
    for play in plays:
        case = TestCase(play.name, classname=play.scenario.module, time=round(play.seconds, 3))
        if play.failure is not None:
            kind = Failure if isinstance(play.failure, AssertionError) else JUnitError
            lines = verdict(play, cleaner)
            result = kind(lines[0], type(play.failure).__name__)
            result.text = "\n".join([*lines, "", cleaner.text(play.trace)])
            case.result = [result]
        elif play.skipped is not None:
            case.result = [Skipped(cleaner.text(play.skipped))]
        case.system_out = cleaner.text("\n".join(_line(step) for step in play.steps))
        if play.evidence is not None and play.failure is not None:
            case.system_err = f"evidence: {play.evidence}"
        suite.add_testcase(case)
    xml = JUnitXml()
    xml.add_testsuite(suite)
    return xml


def _line(step: Step) -> str:
    verdict = "failed" if step.error else "over budget" if step.over_budget else "ok"
    budget = "" if step.budget is None else f" of {step.budget:g} s"
    return f"{step.title}: {step.seconds or 0:.2f} s{budget}, {verdict}"
