"""Annotations and the summary for GitHub."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from harness.folders import CHECKOUT
from harness.report.cleaning import MASK
from harness.report.github import SUMMARY_BYTES, Commands, annotate, annotate_test, error, summary_of
from harness.tests import reporting
from harness.tests.reporting import a_play, story

WORKFLOW = {"GITHUB_ACTIONS": "true"}


def line_of_story() -> int:
    source, first = inspect.getsourcelines(story.function)
    return first + next(number for number, text in enumerate(source) if text.startswith("def "))


def test_nothing_is_said_outside_of_a_workflow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = tmp_path / "summary.md"
    for environ in ({}, {"GITHUB_ACTIONS": "false"}):
        annotate([a_play(ValueError("x"))], root=CHECKOUT, environ={**environ, "GITHUB_STEP_SUMMARY": str(summary)})
        annotate_test("t", "m", file=Path("x.py"), line=1, root=CHECKOUT, environ=environ)
    assert capsys.readouterr().out == ""
    assert not summary.exists()


def test_each_failed_play_is_an_annotation_at_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    annotate([a_play(), a_play(AssertionError("50% lost:\r\n: a, b"))], root=CHECKOUT, environ=WORKFLOW)
    (line,) = capsys.readouterr().out.splitlines()
    place = Path(reporting.__file__).relative_to(CHECKOUT).as_posix()
    assert line == (
        f"::error file={place},line={line_of_story()},title=A story <&> more (story)::"
        f"50%25 lost: : a, b, after step 1 'Look'%0A{place}:{line_of_story()}: def story(stage: Stage) -> None:%0A"
        "nothing unusual in the logs; evidence: /somewhere/plays/story"
    )


def test_what_would_end_a_command_is_escaped() -> None:
    told = error("a: b, c%\n::warning::", "100%\r\n::error::x, y: z", file="a,b.py", line=3)
    assert told == (
        "::error file=a%2Cb.py,line=3,title=a%3A b%2C c%25%0A%3A%3Awarning%3A%3A::100%25%0D%0A::error::x, y: z"
    )
    assert "\n" not in told


def test_other_tests_are_annotated_below_the_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate_test("test_it", "E password=s3cr3tvalue", file=tmp_path / "a.py", line=9, root=tmp_path, environ=WORKFLOW)
    assert capsys.readouterr().out == f"::error file=a.py,line=9,title=test_it::E password={MASK}\n"


def test_the_summary_is_a_table_with_verdicts(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    plays = [
        a_play(),
        replace(a_play(steps=()), skipped="it needs | control"),
        a_play(AssertionError("<b> `x` | [link](y)\nmore")),
    ]
    annotate(plays, root=CHECKOUT, run="r1", environ=WORKFLOW | {"GITHUB_STEP_SUMMARY": str(summary)})
    before, heading, _, run, _, *table = summary.read_text(encoding="utf-8").splitlines()
    assert (before, heading, run) == ("before", "## ❌ Scenarios: 1 passed, 1 failed, 1 skipped", "Run `r1`")
    assert [row[:3] for row in table[2:5]] == ["| ❌", "| ⏭", "| ✅"]
    for row in table[:5]:
        assert row.replace("\\|", "").count("|") == 5, row
    assert "\\<b\\> \\`x\\` \\| \\[link\\]\\(y\\)" in table[2]
    assert "<br>likely" not in table[2]
    assert "<br>nothing unusual" in table[2]
    assert "1 over budget" in table[4]
    assert "skipped: it needs \\| control" in table[3]


def test_a_summary_stays_below_what_is_accepted(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("x" * (SUMMARY_BYTES - 700))
    annotate([a_play()] * 50, root=CHECKOUT, environ=WORKFLOW | {"GITHUB_STEP_SUMMARY": str(summary)})
    content = summary.read_text(encoding="utf-8")
    assert len(content.encode()) <= SUMMARY_BYTES + 1
    assert content.endswith("| 1 over budget |\n")
    assert summary_of([a_play()]).startswith("## ✅ Scenarios: 1 passed, 0 failed, 0 skipped")


def test_what_is_printed_in_between_is_no_command() -> None:
    written: list[str] = []
    commands = Commands(environ=WORKFLOW, write=written.append)
    commands.begin()
    commands.tell("::error::told")
    commands.end()
    stop, go_on, told, stop_again, end = written
    word = stop.removeprefix("\n::stop-commands::")
    assert len(word) == 32
    assert (go_on, told, stop_again, end) == (f"\n::{word}::", "\n::error::told", stop, f"\n::{word}::")
    assert Commands(environ=WORKFLOW)._word != word


def test_outside_of_a_workflow_there_are_no_commands(capsys: pytest.CaptureFixture[str]) -> None:
    commands = Commands(environ={})
    commands.begin()
    commands.tell("::error::told")
    commands.end()
    assert capsys.readouterr().out == ""
