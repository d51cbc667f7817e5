"""What a play at a real browser leaves behind: pictures, trace, console, frames."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from harness.actors.actor import Chat
from harness.actors.browser import BrowserActor
from harness.actors.errors import NotSeen
from harness.browser.driver import Browsers
from harness.browser.window import PHONE
from harness.play.stage import Stage
from harness.tests.browsing import play
from harness.tests.small_app import SmallApp, small_app

pytestmark = pytest.mark.stack

LUNCH = Chat(id=1, title="Lunch", members=frozenset())
JPEG = b"\xff\xd8\xff"


def test_a_play_leaves_pictures_and_where_it_fails_all_there_is(
    app: SmallApp, browsers: Browsers, tmp_path: Path
) -> None:
    def story(stage: Stage) -> None:
        bob, phone = stage.actor("bob"), stage.actor("bob", device="phone", window=PHONE)
        with stage.step("Everybody looks"):
            bob.opens("/profile")
            phone.opens("/chats")
        with stage.step("Bob waits"):
            bob.sees("Godot", within=0.1)

    done = play(app, browsers, story, tmp_path)
    assert isinstance(done.failure, NotSeen)
    assert (done.name, done.eyes) == ("story[browser]", True)
    assert done.evidence == tmp_path / "plays" / "story-browser"
    pictures = [moment for moment in done.moments if moment.kind == "screenshot"]
    assert [(one.actor, one.file, one.failed) for one in pictures] == [
        ("bob", "01-everybody-looks-bob.jpg", False),
        ("bob (phone)", "01-everybody-looks-bob-phone.jpg", False),
        ("bob", "02-bob-waits-bob.jpg", True),
        ("bob (phone)", "02-bob-waits-bob-phone.jpg", True),
        ("bob", "the-end-bob.jpg", True),
        ("bob (phone)", "the-end-bob-phone.jpg", True),
    ]
    for one in pictures:
        assert (done.evidence / str(one.file)).read_bytes().startswith(JPEG)
    for file in ("bob.screen.txt", "bob.frames.jsonl", "bob.console.txt", "bob-phone.trace.zip", "failure.txt"):
        assert (done.evidence / file).exists(), file
    with ZipFile(done.evidence / "bob.trace.zip") as trace:
        assert any(name.endswith(".trace") for name in trace.namelist())
    assert ("bob", "sees", "sees 'Godot'", True) in [(m.actor, m.kind, m.text, m.failed) for m in done.moments]


def test_a_picture_that_shows_nothing_new_is_not_kept(app: SmallApp, browsers: Browsers, tmp_path: Path) -> None:
    def story(stage: Stage) -> None:
        bob = stage.actor("bob")
        for title, screen in (("First", "/profile"), ("Again", "/profile"), ("Elsewhere", "/people")):
            with stage.step(title):
                bob.opens(screen)

    done = play(app, browsers, story, tmp_path)
    assert done.error is None
    kept = [moment.file for moment in done.moments if moment.kind == "screenshot"]
    assert kept == ["01-first-bob.jpg", "03-elsewhere-bob.jpg"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_play_that_passed_keeps_its_trace_where_it_is_asked_to(
    app: SmallApp, browsers: Browsers, tmp_path: Path, keep: bool
) -> None:
    def story(stage: Stage) -> None:
        with stage.step("Look"):
            stage.actor("bob").opens("/profile")

    done = play(app, browsers, story, tmp_path, keep=keep)
    assert done.error is None
    assert done.evidence is not None
    assert (done.evidence / "bob.trace.zip").exists() is keep
    assert (done.evidence / "01-look-bob.jpg").exists()


def test_live_frames_are_kept_in_both_directions(browsers: Browsers, tmp_path: Path) -> None:
    """The app has no live connection here: the tab is told as its browser would tell it."""

    def story(stage: Stage) -> None:
        bob = stage.actor("bob")
        assert isinstance(bob, BrowserActor)
        bob.opens("/people")
        stage.deliveries.expect("c-3", [bob], about="'Hello'", began=0.0)
        event = {"type": "event", "seq": 5, "scope": "chat:1", "prev": 4, "ops": []}
        upsert = {"op": "upsert", "type": "message", "id": 3, "data": {"id": 3, "client_id": "c-3"}}
        tab = bob._tab

        async def told() -> None:
            tab._on_frame('{"type": "hello", "cursor": null}', sent=True)
            tab._on_frame(json.dumps({**event, "ops": [upsert]}), sent=False)

        browsers.run(told(), within=10)
        stage.settle(within=10)

    with small_app() as app:
        done = play(app, browsers, story, tmp_path)
    assert done.error is None
    assert [(timing.name, timing.count) for timing in done.deliveries] == [("message", 1)]
    assert done.evidence is not None
    rows = [json.loads(row) for row in (done.evidence / "bob.frames.jsonl").read_text().splitlines()]
    assert [(row["sent"], row["frame"]["type"]) for row in rows] == [(True, "hello"), (False, "event")]
    assert [moment.text for moment in done.moments if moment.kind == "frame"] == [
        "→ hello, with nothing yet",
        "← event 5 in chat:1: upsert message 3",
    ]
