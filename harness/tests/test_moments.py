from __future__ import annotations

import json

import pytest

from harness.actors.errors import Unreachable
from harness.live.browser_store import store_of
from harness.live.store import LiveStore
from harness.play.moments import LONGEST, Chronicle, Moment, frame_text
from harness.play.people import Person, Pool
from harness.play.recorder import Recorder
from harness.play.runner import perform
from harness.play.scenario import scenario
from harness.play.stage import Stage, Target
from harness.tests.observing import Seen

NOWHERE = Target(backends=("http://127.0.0.1:1",))


def pool() -> Pool:
    return Pool([Person(name="bob", password="word"), Person(name="admin", role="admin", password="word")])


def test_what_an_actor_does_is_told_with_its_outcome() -> None:
    seen = Seen()
    with Stage(NOWHERE, pool(), observers=[seen]) as stage, pytest.raises(Unreachable):
        stage.actor("bob", device="phone").opens("/chats")
    told = [(one.actor, one.kind, one.text.partition(":")[0], one.failed) for one in seen.moments]
    assert told == [
        ("bob (phone)", "request", "GET /api/session", True),
        ("bob (phone)", "does", "signs in", True),
        ("bob (phone)", "does", "opens /chats", True),
    ]


def test_moments_count_from_the_begin_of_the_play_and_come_in_the_order_of_time() -> None:
    @scenario("Nobody is there", cast=["bob"])
    def alone(stage: Stage) -> None:
        with stage.step("Look"):
            pass
        with stage.step("Sign in"):
            stage.actor("bob").signs_in()

    play = perform(alone, NOWHERE, pool())
    assert [one.kind for one in play.moments] == ["does", "request"]
    assert all(0 <= one.at <= play.seconds for one in play.moments)
    first, second = play.steps
    assert first.at is not None
    assert second.at is not None
    assert 0 <= first.at <= second.at <= play.moments[0].at


def test_the_admin_is_told_of_too() -> None:
    seen = Seen()
    with Stage(NOWHERE, pool(), observers=[seen]) as stage, pytest.raises(Unreachable):
        stage.admin.signs_in()
    assert [(one.actor, one.kind) for one in seen.moments] == [("admin", "request"), ("admin", "does")]


def test_a_play_that_is_asked_to_be_quiet_tells_no_moments_and_still_its_requests() -> None:
    seen = Seen()

    @scenario("Nobody is there", cast=["bob"])
    def alone(stage: Stage) -> None:
        stage.actor("bob").signs_in()

    play = perform(alone, NOWHERE, pool(), observers=[seen], moments=False)
    assert (play.moments, seen.moments) == ((), [])
    assert [name for _, name, _ in seen.requests] == ["/api/session"]


def test_seeing_is_told_when_it_was_seen_and_doing_when_it_began() -> None:
    seen = Seen()
    chronicle = Chronicle(seen)
    with chronicle.sees("bob", "sees 'x'"), chronicle.does("bob", "waits"):
        chronicle.tell("bob", "console", "in between")
    between, does, sees = seen.moments
    assert does.at <= between.at <= sees.at


def test_long_texts_are_cut() -> None:
    seen = Seen()
    Chronicle(seen).tell("bob", "console", "x" * 10_000)
    assert len(seen.moments[0].text) == LONGEST + 1


def test_the_recorder_sorts_by_time() -> None:
    recorder = Recorder()
    for at in (3.0, 1.0, 2.0):
        recorder.moment(Moment(at=at, actor="bob", kind="does", text="x"))
    assert [one.at for one in recorder.moments] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ({"type": "hello", "cursor": None}, "hello, with nothing yet"),
        ({"type": "hello", "cursor": {"epoch": "e", "seq": 9}}, "hello, complete up to 9"),
        ({"type": "welcome", "resumed": True}, "welcome, resumed"),
        ({"type": "snapshot", "seq": 4, "scopes": {"a": {}, "b": {}}}, "snapshot at 4: 2 scopes"),
        ({"type": "heartbeat", "seq": 5}, "heartbeat at 5"),
        ({"type": "page", "scope": "chat:1"}, "page of chat:1"),
        (
            {
                "type": "event",
                "seq": 7,
                "scope": "chat:1",
                "ops": [
                    {"op": "remove", "type": "message", "id": 1},
                    {"op": "enter", "scope": "chat:2"},
                    {"op": "stale"},
                    {"op": "upsert", "type": "chat", "id": 1},
                ],
            },
            "event 7 in chat:1: remove message 1, enter chat:2, stale, 1 more",
        ),
        ({"type": "news"}, "news"),
    ],
)
def test_frames_are_told_in_few_words(frame: dict[str, object], text: str) -> None:
    assert frame_text(frame) == text


def test_the_store_of_a_page_equals_the_one_that_got_the_same_snapshot() -> None:
    profile = {"id": 7, "user": 7, "bio": "ü"}
    messages = [{"id": 3, "number": 1, "client_id": "a"}, {"id": 4, "number": 2, "client_id": "b"}]
    ours = LiveStore(orders={"message": "number"})
    scopes = {
        "user:7": {"entities": {"profile": [profile]}, "bounds": {}},
        "chat:1": {"entities": {"message": messages}, "bounds": {"message": [1, 3]}},
        "chat:2": None,
    }
    ours.apply_snapshot({"user": 7, "epoch": "e", "seq": 5, "scopes": scopes})
    windows = {
        "user:7": {"at": 5, "stale": False, "bounds": {}, "entities": {"profile": {"7": profile}}},
        "chat:1": {
            "at": 5,
            "stale": False,
            "bounds": {"message": [1, 3]},
            "entities": {"message": {str(one["id"]): one for one in messages}},
        },
        "chat:2": {"at": 5, "stale": True, "bounds": {}, "entities": {}},
    }
    state = {"user": 7, "epoch": "e", "seq": 5, "orders": {"message": "number"}, "windows": windows, "link": "live"}
    theirs = store_of(json.dumps(state))
    assert theirs.canonical() == ours.canonical()
    assert (theirs.user, theirs.cursor, theirs.stale) == (ours.user, ours.cursor, ours.stale)


@pytest.mark.parametrize(
    "state", ["{}", "[]", "null", '{"user": 1, "epoch": "", "seq": 0, "orders": {}, "windows": []}']
)
def test_what_is_no_store_is_said_to_be_none(state: str) -> None:
    with pytest.raises(ValueError, match="no state of the app's live store"):
        store_of(state)
