"""What a report tells of a play besides its story: verdict, faults, logs, seed, traces, and plays that were skipped."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml
from rich.console import Console

from harness.actors.errors import NotSeen, View
from harness.play.happenings import FaultSpan, LogSlice
from harness.play.presenter import Presenter
from harness.play.runner import Play
from harness.report import REPORT_HTML, REPORT_JSON, REPORT_JUNIT, again, again_with_pytest, write_report
from harness.report.charts import Stretch, lanes
from harness.tests.reporting import a_moment, a_play, page_of

SKIPPED = "it breaks its stack, and this one runs elsewhere"
LIKELY = (
    "likely: the fault 'redis: killed' was in force since 0.5 s (refused 3);"
    " the fault 'relay-1: frozen' was in force since 1.0 s"
)
CLAIM = "bob does not see 'Hi' within 2 s, after step 1 'Look'"


def not_seen(view: View) -> NotSeen:
    """As it comes out of a scenario."""
    try:
        raise NotSeen("does not see 'Hi' within 2 s", view)
    except NotSeen as failure:
        return failure


PLACE = f"harness/tests/test_report_evidence.py:{not_seen.__code__.co_firstlineno + 3}"
CODE = f"""{PLACE}: raise NotSeen("does not see 'Hi' within 2 s", view)"""


def a_failed_play(evidence: Path | None = None) -> Play:
    """One in which bob did not see what he should have, under two faults, with the logs of three resources."""
    view = View(actor="bob", screen="/chats", lines=["Lunch"], frames=[], connection="live")
    play = a_play(
        not_seen(view),
        moments=[a_moment(0.5, "opens /chats"), a_moment(1.9, "sees 'Hi'", kind="sees", failed=True)],
        evidence=evidence,
    )
    return replace(
        play,
        seed=815,
        faults=(
            FaultSpan(what="redis: killed", began=0.5, ended=2.0, figures={"refused": 3, "cut": 0}),
            FaultSpan(what="relay-1: frozen", began=1.0, ended=None),
        ),
        logs=(
            LogSlice(resource="worker-1", lines=tuple(f"line {number}." for number in range(40)), left_out=7),
            LogSlice(resource="redis", lines=("Ready",), left_out=0),
            LogSlice(resource="relay-1", lines=("fine", "ERROR lost it", "fine again"), left_out=3),
        ),
    )


def told(folder: Path, *plays: Play) -> dict[str, Any]:
    write_report(folder, plays, run="r1", app="http://127.0.0.1:1")
    content: dict[str, Any] = json.loads((folder / REPORT_JSON).read_text(encoding="utf-8"))
    return content


def test_a_failed_play_is_told_whole_to_machines(tmp_path: Path) -> None:
    content = told(tmp_path, a_failed_play())
    (play,) = content["scenarios"]
    assert (content["schema"], content["skipped"], play["skipped"]) == (1, 0, None)
    assert (play["seed"], play["place"]) == (815, PLACE)
    assert play["repeat"] == "harness scenario story --seed 815"
    assert play["verdict"] == [
        CLAIM,
        CODE,
        LIKELY,
    ]
    assert play["faults"] == [
        {"what": "redis: killed", "began": 0.5, "ended": 2.0, "figures": {"refused": 3, "cut": 0}},
        {"what": "relay-1: frozen", "began": 1.0, "ended": None, "figures": {}},
    ]
    assert [(one["resource"], len(one["lines"]), one["left_out"]) for one in play["logs"]] == [
        ("worker-1", 40, 7),
        ("redis", 1, 0),
        ("relay-1", 3, 3),
    ]


def test_the_page_tells_why_and_opens_what_is_troubled(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_failed_play())
    text = page.text
    assert text.index("Bob does not see 'Hi' within 2 s.") < text.index(CODE)
    assert text.index("the fault 'redis: killed' was in force") < text.index("Steps")
    order = [text.index(f"{name} {count} line") for name, count in (("relay-1", 6), ("worker-1", 47), ("redis", 1))]
    assert order == sorted(order)
    assert "ERROR lost it fine" in text
    assert "10 older lines; 7 before them are not kept here line 0." in text
    opened = page.html.count("<details open>")
    assert opened == 1
    assert page.html.index("<details open>") < page.html.index("<b>relay-1</b>") < page.html.index("<b>worker-1</b>")


def test_the_diagram_is_open_where_something_failed_alone(tmp_path: Path) -> None:
    passed = a_play(moments=[a_moment(0.5, "opens /chats")])
    page = page_of(tmp_path, a_failed_play(), passed, a_play())
    assert ["open" in found for found in page.all("details", **{"class": "sequence"})] == [True, False]
    (box, _) = page.all("div", **{"class": "ladder"})
    assert box["tabindex"] == "0"
    assert "table of moments" in str(box["aria-label"])
    assert page.all("a", href="#play-1-failure")
    assert page.all("g", id="play-1-failure")
    assert CLAIM in page.text


def test_faults_have_a_table_and_stretches_in_the_lanes(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_failed_play())
    assert "redis: killed 0.50 s 2.00 s 1.50 s refused 3" in page.text
    assert "relay-1: frozen 1.00 s not undone 1.00 s nothing was counted" in page.text
    (first, second) = page.all("rect", **{"class": "stretch"})
    assert (first["x"], first["width"], second["x"], second["width"]) == ("25%", "75%", "50%", "50%")
    assert len(page.all("rect", **{"class": "shade"})) == 2
    assert "Faults what" not in page_of(tmp_path, a_play()).text


def test_a_stretch_is_seen_however_short_and_never_leaves_its_axis() -> None:
    drawn = lanes(
        [], seconds=10.0, stretches=[Stretch(label="a<b", start=9.99999, end=30.0), Stretch(label="c", start=2, end=2)]
    )
    assert 'x="99.6%"' in drawn or 'x="0%"' in drawn
    assert 'width="0.4%"' in drawn
    assert 'aria-label="faults: a&lt;b, c"' in drawn
    assert 'text-anchor="end">a&lt;b<' in drawn
    assert 'text-anchor="start">c<' in drawn


def test_the_command_to_repeat_has_the_seed(tmp_path: Path) -> None:
    play = a_failed_play()
    assert again(play, "--rehearse") == "harness scenario story --seed 815 --rehearse"
    assert again(replace(play, seed=0)) == "harness scenario story"
    start = play.scenario.path.parent.parent
    assert again_with_pytest(play, start=start) == "HARNESS_SEED=815 python -m pytest tests/reporting.py::story"
    assert again_with_pytest(replace(play, seed=0), start=start) == "python -m pytest tests/reporting.py::story"
    assert "comes from the seed 815" in page_of(tmp_path, play).text


def test_a_skipped_play_is_named_with_its_reason_and_is_no_failure(tmp_path: Path) -> None:
    skipped = replace(a_play(steps=()), skipped=SKIPPED)
    content = told(tmp_path, a_play(), skipped)
    (passed, left) = content["scenarios"]
    assert (content["passed"], content["skipped"]) == (True, 1)
    assert (passed["skipped"], left["skipped"], left["passed"], left["verdict"]) == (None, SKIPPED, False, None)
    (suite,) = JUnitXml.fromfile(str(tmp_path / REPORT_JUNIT))
    assert (suite.tests, suite.skipped, suite.failures, suite.errors) == (2, 1, 0, 0)
    assert list(suite)[1].result[0].message == SKIPPED
    page = page_of(tmp_path, a_play(), skipped)
    assert "✔ The play passed" in page.text
    assert "1 was skipped." in page.text
    assert f"Why it was not played {SKIPPED}" in page.text
    assert "– Skipped" in page.text
    assert "✘" not in page.text


def test_where_all_is_skipped_nothing_passed(tmp_path: Path) -> None:
    skipped = replace(a_play(steps=()), skipped=SKIPPED)
    assert told(tmp_path, skipped)["passed"] is False
    assert "Nothing was played" in (tmp_path / REPORT_HTML).read_text(encoding="utf-8")


def test_traces_are_linked_with_the_command_that_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = tmp_path / "run" / "plays" / "story"
    evidence.mkdir(parents=True)
    (evidence / "bob-phone.trace.zip").write_bytes(b"PK")
    monkeypatch.chdir(tmp_path)
    page = page_of(tmp_path / "run", a_play(evidence=evidence))
    assert page.all("a", href="plays/story/bob-phone.trace.zip")
    assert "python -m playwright show-trace --port 0 run/plays/story/bob-phone.trace.zip" in page.text


def test_junit_begins_with_the_verdict(tmp_path: Path) -> None:
    content = told(tmp_path, a_failed_play())
    (suite,) = JUnitXml.fromfile(str(tmp_path / REPORT_JUNIT))
    (case,) = suite
    (failure,) = case.result
    assert failure.message == CLAIM
    assert failure.text.splitlines()[:3] == content["scenarios"][0]["verdict"]
    assert "Traceback: bob does not see" in failure.text


@pytest.mark.parametrize("terminal", [True, False])
def test_the_terminal_begins_with_the_verdict(terminal: bool) -> None:
    stream = io.StringIO()
    width = 200 if terminal else 40
    Presenter(Console(file=stream, width=width, force_terminal=terminal, color_system=None)).closes(a_failed_play())
    lines = [line.strip("│ ") for line in stream.getvalue().splitlines()]
    begin = next(number for number, line in enumerate(lines, 1) if "failed" in line)
    assert lines[begin : begin + 4] == [CLAIM, CODE, LIKELY, ""]
    assert "on the screen /chats, live connection live:" in lines
