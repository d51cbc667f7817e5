"""The sequence diagram: which rows there are, how it is drawn, and that it holds what matters of a long play."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.actors.errors import NotSeen, View
from harness.play.happenings import FaultSpan
from harness.play.moments import Moment
from harness.play.observers import Step
from harness.play.runner import Play
from harness.report.ladder import ladder
from harness.report.sequence import MOST_LIFELINES, MOST_ROWS, Diagram, diagram
from harness.tests.reporting import a_moment, a_play

LATE = Step(title="Bob looks", cue=None, budget=5, seconds=8.0, at=2.0, error="NotSeen: ...")


def of(play: Play) -> Diagram:
    return diagram(play, str.upper, failure="it failed")


def drawn(play: Play) -> str:
    return str(ladder(diagram(play, str, failure="it failed"), label="All of it", anchor="play-1-failure"))


def a_failed_play(moments: Sequence[Moment], *, steps: Sequence[Step] = (LATE,)) -> Play:
    view = View(actor="bob", screen="/chats", lines=[], frames=[], connection="live")
    return replace(a_play(NotSeen("does not see it", view), steps=steps, moments=moments), seconds=12.0)


def test_rows_stand_in_the_order_of_time_below_their_step() -> None:
    moments = [
        a_moment(1.2, "GET /chats/: 5 ms", kind="request"),
        a_moment(1.0, "opens /chats"),
        a_moment(1.4, "← event 7", kind="frame"),
        a_moment(1.3, "→ hello", kind="frame"),
        a_moment(1.5, "sees 'Hi'", kind="sees"),
        a_moment(1.6, "picture", kind="screenshot"),
    ]
    step = Step(title="Look", cue=None, budget=2, seconds=0.75, at=1.001)
    rows = of(a_play(steps=[step], moments=moments)).rows
    assert [(row.kind, row.way, row.text) for row in rows] == [
        ("step", "step", "1  LOOK"),
        ("does", "in", "OPENS /CHATS"),
        ("request", "in", "GET /CHATS/: 5 MS"),
        ("frame", "in", "HELLO"),
        ("frame", "out", "EVENT 7"),
        ("sees", "note", "SEES 'HI'"),
    ]
    assert rows[0].title == "0.75 s of 2 s"


def test_frames_in_a_row_are_folded_for_each_actor() -> None:
    moments = [
        a_moment(number / 10, f"← event {number // 4} in x: op", kind="frame", actor=actor)
        for number, actor in enumerate(["alice", "bob"] * 4)
    ]
    moments += [a_moment(0.9, "does it"), a_moment(1.0, "← heartbeat at 9", kind="frame")]
    moments.append(a_moment(1.1, "← broken", kind="frame", failed=True))
    rows = of(a_play(steps=[], moments=moments)).rows
    assert [(row.actor, row.count, row.text) for row in rows] == [
        ("ALICE", 4, "4 EVENTS: 2 × EVENT 0 IN X, 2 × EVENT 1 IN X"),
        ("BOB", 4, "4 EVENTS: 2 × EVENT 0 IN X, 2 × EVENT 1 IN X"),
        ("BOB", 1, "DOES IT"),
        ("BOB", 1, "HEARTBEAT AT 9"),
        ("BOB", 1, "BROKEN"),
    ]


def test_a_step_ends_what_is_folded() -> None:
    frames = [a_moment(at, "← heartbeat", kind="frame") for at in (0.1, 0.2, 0.6, 0.7)]
    step = Step(title="Later", cue=None, budget=None, seconds=1, at=0.5)
    assert [row.count for row in of(a_play(steps=[step], moments=frames)).rows] == [2, 1, 2]


def test_a_failure_stands_where_it_happened_and_a_fault_stretches_over_it() -> None:
    moments = [
        a_moment(2.1, "opens /chats"),
        a_moment(6.0, "sees it", kind="sees", failed=True),
        a_moment(9.0, "leaves"),
        a_moment(3.0, "redis: killed", kind="fault", actor="stack"),
    ]
    faults = (
        FaultSpan(what="redis: killed", began=3.0, ended=7.0, figures={"refused": 3}),
        FaultSpan(what="relay: frozen", began=8.0, ended=None),
    )
    told = of(replace(a_failed_play(moments), faults=faults))
    assert [row.text for row in told.rows] == [
        "1  BOB LOOKS",
        "OPENS /CHATS",
        "FAULT BEGINS: REDIS: KILLED",
        "SEES IT — NOT SO",
        "IT FAILED",
        "FAULT ENDS: REDIS: KILLED · REFUSED 3",
        "FAULT BEGINS: RELAY: FROZEN",
        "LEAVES",
    ]
    assert [(one.first, one.last) for one in told.stretches] == [(2, 5), (6, 7)]
    assert [row.text for row in of(a_failed_play(moments)).rows if row.kind == "fault"] == ["REDIS: KILLED"]


def test_of_a_long_play_the_failure_and_the_ends_of_each_step_stay() -> None:
    steps = [
        Step(
            title=str(number), cue=None, budget=None, seconds=10.0, at=number * 10.0, error="x" if number == 5 else None
        )
        for number in range(10)
    ]
    moments = [a_moment(number / 100, f"deed {number}") for number in range(10_000)]
    moments.append(a_moment(55.005, "sees it", kind="sees", failed=True))
    rows = of(a_failed_play(moments, steps=steps)).rows
    assert MOST_ROWS * 0.9 < len(rows) <= MOST_ROWS
    texts = [row.text for row in rows]
    failed = texts.index("IT FAILED")
    assert texts[failed - 30 : failed - 1] == [f"DEED {number}" for number in range(5472, 5501)]
    assert texts[failed + 1] == "DEED 5501"
    assert [row.text for row in rows if row.way == "step"] == [f"{number + 1}  {number}" for number in range(10)]
    assert texts.index("DEED 2000") == texts.index("3  2") + 1
    left_out = [row for row in rows if row.way == "left out"]
    assert sum(row.count for row in rows if row.way not in ("step", "failure")) == 10_001
    assert all(row.text == f"… {row.count:,} LEFT OUT" for row in left_out)


def test_of_a_crowd_the_unlucky_have_lifelines_of_their_own() -> None:
    moments = [a_moment(number / 10, "deed", actor=f"crowd {number % 30}") for number in range(200)]
    moments.append(a_moment(30, "sees it", kind="sees", actor="crowd 29", failed=True))
    told = of(a_failed_play(moments))
    assert len(told.lifelines) == MOST_LIFELINES - 1
    assert told.others == 30 - len(told.lifelines)
    assert "CROWD 29" in told.lifelines
    other = next(f"CROWD {number}" for number in range(30) if f"CROWD {number}" not in told.lifelines)
    assert told.lifeline(other) == MOST_LIFELINES
    assert (told.lifeline("stack"), told.lifeline(told.lifelines[0])) == (0, 1)
    assert f">{told.others} others<" in drawn(a_failed_play(moments))


@pytest.mark.parametrize(
    ("kind", "text", "sign"),
    [
        ("does", "opens", '<g class="does in"'),
        ("request", "GET", '<g class="request in"'),
        ("frame", "← event", '<g class="frame out"'),
        ("frame", "→ hello", '<g class="frame in"'),
        ("sees", "sees", '<circle class="seen"'),
        ("console", "oh", '<path class="told"'),
        ("fault", "oh", '<path class="cross"'),
    ],
)
def test_each_kind_is_drawn_in_its_own_way(kind: str, text: str, sign: str) -> None:
    assert sign in drawn(a_play(steps=[], moments=[a_moment(1.0, text, kind=kind)]))  # type: ignore[arg-type]  # any word


def test_arrows_point_where_things_went() -> None:
    def tip_and_start(text: str) -> tuple[float, float]:
        markup = drawn(a_play(steps=[], moments=[a_moment(1.0, text, kind="frame")]))
        tip = re.search(r'class="tip" points="([\d.]+),', markup)
        start = re.search(r'class="from" cx="([\d.]+)"', markup)
        assert tip is not None
        assert start is not None
        return float(tip[1]), float(start[1])

    tip, start = tip_and_start("← event")
    assert tip > start
    tip, start = tip_and_start("→ hello")
    assert tip < start


def test_all_is_escaped_cut_and_left_to_the_table_for_those_who_can_not_see_it() -> None:
    hostile = '</text></svg><script>alert(1)</script>"' + "x" * 600 + "終" * 300
    moments = [a_moment(1.0, hostile, actor=hostile), a_moment(3.0, hostile, kind="fault", actor=hostile, failed=True)]
    play = replace(
        a_failed_play(moments, steps=[replace(LATE, title=hostile)]),
        faults=(FaultSpan(what=hostile, began=1.0, ended=2.0),),
    )
    markup = drawn(play)
    assert "<script" not in markup
    assert "style=" not in markup
    words = re.findall(r"<(?:text|tspan)[^>]*>([^<]*)<", markup)
    assert max(map(len, words)) < 200
    assert markup.count('aria-hidden="true"') == 2
    assert 'aria-label="All of it"' in markup
    assert 'id="play-1-failure"' in markup
