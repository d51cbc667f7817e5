"""The page of a report: what it says, and that it needs and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.actors.errors import NotSeen, View
from harness.play.errors import LostDelivery
from harness.play.happenings import FaultSpan, LogSlice
from harness.play.observers import Step
from harness.report import REPORT_HTML, write_report
from harness.tests.reporting import JPEG, LOOK, a_moment, a_play, page_of

HOSTILE = "</style></pre><script>alert(1)</script><img src=x onerror=alert(1)>\u2028\u202e\"'&{{ 7*7 }}\x00\ud800"


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    folder = tmp_path / "plays" / "story"
    folder.mkdir(parents=True)
    return folder


def not_seen(claim: str = "does not see 'Robert' within 2 s") -> NotSeen:
    view = View(actor="bob", screen="/profile/", lines=["First name: Bob"], frames=['{"seq": 7}'], connection="live")
    return NotSeen(claim, view)


def test_the_verdict_comes_first(tmp_path: Path) -> None:
    resources = {"redis": "ready", "prepare": "done", "backend-1": "ready", "backend-2": "exited"}
    rows = [{"name": name, "state": state} for name, state in resources.items()]
    (tmp_path / "state.json").write_text(json.dumps({"snapshot": {"resources": rows}}))
    page = page_of(tmp_path, a_play(), a_play(not_seen()))
    assert page.text.index("✘ 1 of 2 plays failed") < page.text.index("A story <&> more")
    for text in ("1 of 2 plays failed", "2 over their budgets", "January 2026", "4.00 s", "http://127.0.0.1:1"):
        assert text in page.text
    assert "redis, 2 × backend" in page.text
    assert "prepare" not in page.text
    assert page_of(tmp_path, a_play()).text.count("The play passed") == 2
    assert "All 2 plays passed" in page_of(tmp_path, a_play(), a_play()).text


def test_a_failure_is_told_in_plain_words_before_the_steps(tmp_path: Path) -> None:
    broken = Step(title="See it", cue=None, budget=5, seconds=2.0, at=1.75, error="NotSeen: ...")
    page = page_of(tmp_path, a_play(not_seen(), steps=[LOOK, broken]))
    text = page.text
    assert "Bob does not see 'Robert' within 2 s." in text
    assert "In step 2, “See it” , 3.75 s after the play began".replace(" ,", ",") in text.replace(" ,", ",")
    assert "First name: Bob" in text
    assert '{"seq": 7}' in text
    assert text.index("What failed") < text.index("Steps") < text.index("1.50 s")
    assert "0.50 s over" in text
    assert "Traceback: bob does not see" in text


@pytest.mark.parametrize(
    ("failure", "claim"),
    [
        (LostDelivery("2 lost within 10 s:\n  'hello' -> bob"), "2 lost within 10 s:"),
        (AssertionError("the progress went back: [2, 1]"), "The progress went back: [2, 1]."),
        (AssertionError(), "A claim of the scenario did not hold."),
        (KeyError("title"), "KeyError: 'title'."),
    ],
)
def test_other_failures_have_words_too(tmp_path: Path, failure: Exception, claim: str) -> None:
    assert f"What failed {claim}" in page_of(tmp_path, a_play(failure)).text


def test_pictures_stand_in_the_order_of_the_story(tmp_path: Path, evidence: Path) -> None:
    shots = [(2.5, "alice", "c"), (0.1, "bob", "a"), (0.5, "alice", "b")]
    for number, (_, _, name) in enumerate(shots):
        (evidence / f"{number}.jpg").write_bytes(JPEG + name.encode())
    moments = [
        a_moment(at, f"window {name}", kind="screenshot", actor=actor, file=f"{number}.jpg")
        for number, (at, actor, name) in enumerate(shots)
    ]
    page = page_of(tmp_path, a_play(moments=moments, evidence=evidence))
    pictures = page.all("img")
    contents = [base64.b64decode((one["src"] or "").removeprefix("data:image/jpeg;base64,")) for one in pictures]
    assert [content.removeprefix(JPEG) for content in contents] == [b"a", b"b", b"c"]
    assert pictures[0]["alt"] == "Screen of bob at 0.10 s: window a"
    assert "alice 0.50 s 1. Look window b" in page.text


def test_what_is_no_picture_is_not_embedded(tmp_path: Path, evidence: Path) -> None:
    (tmp_path / "users.json").write_text("[]")
    (evidence / "text.jpg").write_text("no picture")
    files = ["../../users.json", "/etc/hostname", "missing.jpg", "text.jpg"]
    moments = [a_moment(number, kind="screenshot", file=file) for number, file in enumerate(files)]
    page = page_of(tmp_path, a_play(moments=moments, evidence=evidence))
    assert page.all("img") == []
    assert "4 more pictures, not kept in this page" in page.text
    links = [link["href"] or "" for link in page.all("a")]
    assert "plays/story/text.jpg" in links
    assert not any(word in link for word in ("..", "users", "hostname", "missing") for link in links)


def test_every_text_is_shown_as_text(tmp_path: Path, evidence: Path) -> None:
    step = Step(title=HOSTILE, cue=HOSTILE, budget=1, seconds=2, at=0, error=HOSTILE)
    view = View(actor=HOSTILE, screen=HOSTILE, lines=[HOSTILE], frames=[HOSTILE], connection=HOSTILE)
    (evidence / "1.jpg").write_bytes(JPEG)
    (evidence / '"><script>.txt').write_text("")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "relay.log").write_text("ERROR </pre><script>alert(1)</script>\n")
    moments = [
        a_moment(0.5, HOSTILE, kind=kind, actor=HOSTILE, failed=True, file="1.jpg")
        for kind in ("does", "sees", "frame", "request", "screenshot", "console", "fault")
    ]
    play = a_play(NotSeen(HOSTILE, view), steps=[step], moments=moments, evidence=evidence, trace=HOSTILE)
    span = FaultSpan(what=HOSTILE, began=0.1, ended=1.0, figures={HOSTILE: 2})
    log = LogSlice(resource=HOSTILE, lines=(HOSTILE, f"ERROR {HOSTILE}"), left_out=1)
    play = replace(play, faults=(span,), logs=(log,))
    plain = replace(a_play(RuntimeError(f"{HOSTILE}\n{HOSTILE}")), skipped=HOSTILE)
    page = page_of(tmp_path, play, plain)
    tags = {tag for tag, _ in page.tags}
    assert "script" not in tags
    assert not any(name.startswith("on") or name == "style" for _, found in page.tags for name in found)
    assert {image["src"][:15] for image in page.all("img") if image["src"]} == {"data:image/jpeg"}
    assert "alert(1)" in page.text
    assert "{{ 7*7 }}" in page.text
    assert not re.search("[\x00\ud800]", page.html)


def test_the_page_needs_nothing_but_itself(tmp_path: Path, evidence: Path) -> None:
    (evidence / "bob.frames.jsonl").write_text("{}\n")
    (evidence / "bob's trace.zip").write_bytes(b"PK")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "relay.log").write_text("first\nTraceback: lost\n")
    page = page_of(tmp_path, a_play(evidence=evidence), a_play(not_seen(), evidence=evidence, moments=[a_moment(1.0)]))
    style = re.search(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert style is not None
    assert not re.search(r"url\(|@import", style[1])
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not {"script", "iframe", "object", "form", "base"} & {tag for tag, _ in page.tags}
    for _, found in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            target = found.get(name) or ""
            assert not re.match(r"(?i)(https?:)?//|file:|/", target), target
    links = [link["href"] or "" for link in page.all("a") if not (link["href"] or "#").startswith("#")]
    assert {"plays/story/bob.frames.jsonl", "plays/story/bob%27s%20trace.zip", "logs/relay.log", "report.json"} <= set(
        links
    )
    assert "playwright show-trace" in page.text
    assert "Traceback: lost" in page.text
    anchors = {found["id"] for _, found in page.tags if found.get("id")}
    for link in page.all("a"):
        if (link["href"] or "").startswith("#"):
            assert (link["href"] or "")[1:] in anchors


def test_what_failed_stands_first_in_the_index_alone(tmp_path: Path) -> None:
    page = page_of(tmp_path, a_play(), a_play(not_seen()), a_play())
    inner = [link["href"] for link in page.all("a") if (link["href"] or "").startswith("#")]
    assert inner == ["#play-2", "#play-1", "#play-3", "#run"]
    assert [found["id"] for found in page.all("section")] == ["play-1", "play-2", "play-3", "run"]


def test_logs_are_shown_where_something_failed_alone(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "relay.log").write_text("\n".join(f"line {number}." for number in range(100)))
    assert "line 99." not in page_of(tmp_path, a_play()).text
    shown = page_of(tmp_path, a_play(not_seen())).text
    assert "line 99." in shown
    assert "line 80." in shown
    assert "line 79." not in shown


def test_the_command_to_repeat_each_play_is_told(tmp_path: Path) -> None:
    assert "harness scenario story" in page_of(tmp_path, a_play()).text
    write_report(
        tmp_path,
        [a_play()],
        run="r1",
        app="http://127.0.0.1:1",
        repeat=lambda one: f"play '{one.scenario.name}' <again>",
    )
    assert "play &#39;story&#39; &lt;again&gt;" in (tmp_path / REPORT_HTML).read_text(encoding="utf-8")


def test_lanes_show_who_and_when(tmp_path: Path) -> None:
    moments = [
        a_moment(0.5, "opens /chats/"),
        a_moment(1.0, "event 7", kind="frame", actor="alice"),
        a_moment(2.0, "a claim", kind="sees", actor="alice", failed=True),
    ]
    page = page_of(tmp_path, a_play(moments=moments))
    assert [lane["aria-label"] for lane in page.all("svg", **{"class": "lane"})] == [
        "bob: 1 action",
        "alice: 1 sighting, 1 frame",
    ]
    assert "0.50 s · opens /chats/" in page.text
    # The play lasts 2 s.
    assert page.all("circle", cx="25%")
    assert page.all("rect", x="50%")
    for row in ("0.500 1 bob does opens /chats/", "2.000 1 alice sees, failed a claim"):
        assert row in page.text


def test_of_a_crowd_the_busiest_and_the_unlucky_are_drawn(tmp_path: Path) -> None:
    moments = [a_moment(0.1, "does", actor=f"crowd {number}") for number in range(1, 31)]
    moments += [a_moment(0.2, "does more", actor="crowd 30"), a_moment(0.3, "fails", actor="crowd 20", failed=True)]
    page = page_of(tmp_path, a_play(moments=moments))
    drawn = [str(lane["aria-label"]).partition(":")[0] for lane in page.all("svg", **{"class": "lane"})]
    assert len(drawn) == 12
    assert {"crowd 20", "crowd 30"} <= set(drawn)
    assert "18 more did much the same" in page.text


def test_the_picture_at_the_end_of_a_step_is_named_once(tmp_path: Path, evidence: Path) -> None:
    (evidence / "1.jpg").write_bytes(JPEG)
    shot = a_moment(0.5, "01 Look", kind="screenshot", actor="bob", file="1.jpg")
    page = page_of(tmp_path, a_play(moments=[shot], evidence=evidence))
    assert "bob 0.50 s 1. Look" in page.text
    assert "1. Look 01 Look" not in page.text


def test_a_long_story_stays_small(tmp_path: Path) -> None:
    moments = [a_moment(index / 100, f"frame {index} " + "x" * 1000, kind="frame") for index in range(2000)]
    page = page_of(tmp_path, *[a_play(moments=moments)] * 30)
    assert len(page.html) < 8_000_000
    assert "1,734 frames left out" in page.text


def test_too_many_pictures_are_linked_and_what_failed_keeps_its_own(
    tmp_path: Path, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.report.plays.PICTURE_BYTES", 3 * len(JPEG))
    moments = [a_moment(0.1 * number, kind="screenshot", file=f"{number}.jpg") for number in range(2)]
    for number in range(2):
        (evidence / f"{number}.jpg").write_bytes(JPEG)
    page = page_of(
        tmp_path, a_play(moments=moments, evidence=evidence), a_play(not_seen(), moments=moments, evidence=evidence)
    )
    kept = [found["id"] for found in page.all("details") if "picture" in (found.get("id") or "")]
    assert kept == ["play-1-picture-1", "play-2-picture-1", "play-2-picture-2"]
    assert "1 more picture, not kept in this page" in page.text
