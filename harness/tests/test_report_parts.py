"""What reports are made of: clean texts, thinned moments, charts."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from harness.actors.errors import NotSeen, View
from harness.play.happenings import FaultSpan, LogSlice
from harness.play.observers import Step
from harness.report import REPORT_HTML, REPORT_JSON, REPORT_JUNIT, write_report
from harness.report.charts import Band, Bar, Lane, Mark, bars, lanes, sign, track
from harness.report.cleaning import MASK, Cleaner
from harness.report.story import thin
from harness.tests.reporting import a_moment, a_play


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Cookie: sessionid=s3cr3tvalue; csrftoken=an0ther", "s3cr3tvalue"),
        ("Cookie: sessionid=s3cr3tvalue; csrftoken=an0ther", "an0ther"),
        ("{'set-cookie': 'sessionid=s3cr3tvalue; Path=/'}", "s3cr3tvalue"),
        ('{"password": "two words \\" here", "x": 1}', "here"),
        ('{"password": "cut in the mid', "cut in the mid"),
        ("username=bob&password1=s3cr3tvalue&next=/", "s3cr3tvalue"),
        ("authorization: Bearer s3cr3tvalue", "s3cr3tvalue"),
        ("X-CSRFToken: s3cr3tvalue", "s3cr3tvalue"),
        ("SECRET_KEY='s3cr3tvalue'", "s3cr3tvalue"),
        ("postgres://user:s3cr3tvalue@127.0.0.1:5432/app", "s3cr3tvalue"),
        ('"{\\"session_key\\": \\"s3cr3tvalue\\"}"', "s3cr3tvalue"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, secret: str) -> None:
    cleaned = Cleaner().text(text)
    assert secret not in cleaned
    assert MASK in cleaned


@pytest.mark.parametrize(
    "text",
    ["Sign in: textbox Password", "GET /api/session 200", "http://127.0.0.1:8000/chats/", "Unexpected token: '<'"],
)
def test_ordinary_words_stay(text: str) -> None:
    assert Cleaner(["short"]).text(f"{text} short") == f"{text} short"


def test_a_long_text_is_cut_after_its_secrets_are_gone() -> None:
    assert Cleaner(["abcdefgh"]).text("12345 abcdefgh" + "x" * 90, limit=10) == f"12345 {MASK}x… (99 characters)"


def test_no_file_of_a_report_tells_a_secret(tmp_path: Path) -> None:
    secrets = ["bob-demo", "k" * 40, "from-elsewhere", "s3ss10n"]
    (tmp_path / "users.json").write_text(json.dumps([{"name": "bobby", "password": secrets[0], "role": "user"}]))
    (tmp_path / "credentials.json").write_text(json.dumps({"secret_key": secrets[1]}))
    (tmp_path / "logs").mkdir()
    everything = f"bobby {secrets[0]} {secrets[1]} {secrets[2]} sessionid={secrets[3]}"
    (tmp_path / "logs" / "backend-1.log").write_text(f"ERROR {everything}\n")
    evidence = tmp_path / "plays" / "story"
    evidence.mkdir(parents=True)
    view = View(actor=everything, screen=everything, lines=[everything], frames=[everything], connection=everything)
    step = Step(title=everything, cue=everything, budget=1, seconds=1, at=0, error=everything)
    moments = [
        a_moment(0.1, everything, actor=everything, kind=kind, failed=True, file="x.jpg")
        for kind in ("does", "sees", "frame", "request", "screenshot", "console", "fault")
    ]
    plays = [
        a_play(NotSeen(everything, view), steps=[step], moments=moments, trace=everything, evidence=evidence),
        a_play(RuntimeError(f"{everything}\n{everything}")),
        replace(a_play(), skipped=everything),
    ]
    span = FaultSpan(what=everything, began=0.05, ended=0.5, figures={everything: 1})
    log = LogSlice(resource="backend-1", lines=(f"ERROR {everything}", everything) * 30, left_out=1)
    plays[0] = replace(plays[0], faults=(span,), logs=(log,))
    write_report(
        tmp_path,
        plays,
        run="r1",
        app="http://user:s3ss10n@127.0.0.1:1",
        repeat=lambda one: f"play {everything}",
        secrets=[secrets[2]],
    )
    for name in (REPORT_HTML, REPORT_JSON, REPORT_JUNIT):
        content = (tmp_path / name).read_text(encoding="utf-8")
        assert "bobby" in content, name
        assert [secret for secret in secrets if secret in content] == [], name


def test_frames_are_thinned_first_and_evenly() -> None:
    story = [a_moment(float(second), "deed") for second in range(0, 100, 10)]
    frames = [a_moment(number / 10, kind="frame") for number in range(1000)]
    broken = a_moment(50.05, kind="frame", failed=True)
    thinned = thin([*frames, broken, *story], 61)
    assert len(thinned.shown) == 61
    assert thinned.left_out == {"frame": 950}
    assert set(story) <= set(thinned.shown)
    assert broken in thinned.shown
    assert list(thinned.shown) == sorted(thinned.shown, key=lambda one: one.at)
    kept = [one.at for one in thinned.shown if one.kind == "frame" and not one.failed]
    assert max(after - before for before, after in pairwise(kept)) < 4


def test_even_a_story_of_nothing_but_failures_is_bounded() -> None:
    moments = [a_moment(float(number), kind="fault", failed=True) for number in range(300)]
    thinned = thin(moments, 100)
    assert (len(thinned.shown), thinned.left_out) == (100, {"fault": 200})
    assert thin(moments, 300).left_out == {}


def test_bars_are_to_one_scale() -> None:
    chart = bars([Bar(label="a<b", values=(5.0, 10.0), note="5"), Bar(label="c", values=(20.0,), note="20")])
    assert "a&lt;b" in chart
    assert 'width="25%"' in chart
    assert chart.index('class="part-1" width="50%"') < chart.index('class="part-0" width="25%"')
    assert 'class="part-0" width="100%"' in chart
    assert 'width="0%"' in bars([Bar(label="nothing", values=(0.0,), note="0")])


def test_a_track_marks_its_limit() -> None:
    assert 'x1="50%"' in track((2.0,), top=1.0, limit=1.0, bad=True)
    assert "limit" not in track((0.5,), top=1.0)


def test_lanes_keep_to_their_axis() -> None:
    drawn = lanes(
        [
            Lane(
                label="bob",
                note="late",
                marks=[Mark(at=5.0, kind="does", title="<late>"), Mark(at=-1, kind="x", title="")],
            )
        ],
        seconds=2.0,
        bands=[Band(label="1", start=0, end=1.0), Band(label="2", start=1.0, end=1.001)],
    )
    assert 'cx="100%"' in drawn
    assert "&lt;late&gt;" in drawn
    assert ">1</text>" in drawn
    assert 'text-anchor="middle">2<' not in drawn
    assert 'text-anchor="start">0 s<' in drawn
    assert 'text-anchor="end">2<' in drawn


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("does", "<circle"),
        ("sees", "<circle"),
        ("frame", "<rect"),
        ("request", "<rect"),
        ("screenshot", "<rect"),
        ("console", "<path"),
        ("fault", "<path"),
    ],
)
def test_each_kind_has_a_sign(kind: str, shape: str) -> None:
    drawn = lanes([Lane(label="bob", note="", marks=[Mark(at=1.0, kind=kind, title="it")])], seconds=2.0)
    for markup in (drawn, sign(kind)):
        assert f'{shape} class="{kind}"' in markup
        assert "&lt;" not in markup
    assert "50%" in drawn


@pytest.mark.parametrize("sign", ["\x1b", "\x7f", "\x9b31m", "\x90", "\u202e", "\u2066", "\ud800", "\x00"])
def test_nothing_turns_a_terminal_or_a_reader_around(sign: str) -> None:
    assert Cleaner().text(f"an {sign[0]} ü مرحبا 👋🏽\u200d") == "an \ufffd ü مرحبا 👋🏽\u200d"
