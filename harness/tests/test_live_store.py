"""The client's side of the live protocol: the shared vectors, and properties that no vector can exhaust."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.live import LiveConnection, LiveStore, ProtocolViolation, State
from harness.live.store import JSON, Window

VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "live-vectors.json").read_text())


def outcome(store: LiveStore, frame: dict[str, Any]) -> str | None:
    if "asks" in frame:
        store.expect(frame["asks"])
        return None
    match frame["type"]:
        case "snapshot":
            store.apply_snapshot(frame)
            return "replaced"
        case "event":
            before = store.counts.applied, store.counts.dropped, store.counts.ignored, store.counts.holes
            store.apply_event(frame)
            after = store.counts.applied, store.counts.dropped, store.counts.ignored, store.counts.holes
            moved = [b - a for a, b in zip(before, after, strict=True)]
            return ("applied", "dropped", "ignored", "hole")[moved.index(1)]
        case "heartbeat":
            store.apply_heartbeat(frame)
        case "scope":
            store.apply_scope(frame)
        case "page":
            store.apply_page(frame)
    return None


@pytest.mark.parametrize("vector", VECTORS["store"], ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    store = LiveStore(orders=vector["orders"])
    outcomes = [outcome(store, frame) for frame in vector["frames"]]
    if "asks" in json.dumps(vector["frames"]):
        # Events that are applied again behind an answer count too; only their first time is the vector's.
        outcomes = [
            None if expected is None else got for got, expected in zip(outcomes, vector["outcomes"], strict=True)
        ]
    assert outcomes == vector["outcomes"]
    assert store.canonical() == vector["holds"]
    assert store.seq == vector["seq"]


class Fixed(Random):
    """Every number is the same share of its range."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self._share


@pytest.mark.parametrize("vector", VECTORS["conversations"], ids=lambda vector: vector["name"])
def test_conversation(vector: dict[str, Any]) -> None:
    now = 100.0
    store = LiveStore(clock=lambda: now)
    connection = LiveConnection(store, random=Fixed(vector["random"]))
    sent = list(connection.opened())
    for step in vector["steps"]:
        # As a driver does: it wakes up when something is due, and only then.
        while (wait := connection.wake_in()) is not None and now + wait < 100 + step["at"]:
            now = ceil((now + wait) * 1e6) / 1e6
            sent += connection.due()
        now = 100 + step["at"]
        sent += connection.due()
        for frame in step.get("says", ()):
            reaction = connection.received(json.dumps(frame))
            assert not reaction.resume
            sent += reaction.send
        assert [json.loads(frame) for frame in sent] == step.get("sends", []), step
        sent.clear()
        for scope, users in step.get("typing", {}).items():
            assert store.typing(scope) == users, step
        for scope, said in step.get("present", {}).items():
            present = store.present(scope)
            known = None if present is None else {"count": present.count, "users": sorted(present.users)}
            assert known == said, step


@pytest.mark.parametrize("vector", VECTORS["closes"], ids=lambda vector: f"{vector['code']} x {vector['failures']}")
def test_closing(vector: dict[str, Any]) -> None:
    for share in (0, 1):
        connection = LiveConnection(LiveStore(), random=Fixed(share))
        for _ in range(vector["failures"] - 1):
            connection.closed(1006)
        wait = connection.closed(vector["code"])
        assert wait == (None if vector["wait"] is None else vector["wait"][share])


def snapshot(seq: int = 0) -> dict[str, Any]:
    window: dict[str, Any] = {"entities": {"note": []}, "bounds": {}}
    return {"type": "snapshot", "user": 1, "epoch": "e", "seq": seq, "scopes": {"a": window, "b": window}}


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A log of two scopes whose events upsert and remove a handful of notes."""
    last = {"a": 0, "b": 0}
    events = []
    for seq in range(1, draw(st.integers(2, 25))):
        scope = draw(st.sampled_from(["a", "b"]))
        id_ = draw(st.integers(1, 3))
        upsert = {"op": "upsert", "type": "note", "id": id_, "data": {"id": id_, "value": seq}}
        op = draw(st.sampled_from([upsert, {"op": "remove", "type": "note", "id": id_}]))
        events.append({"type": "event", "seq": seq, "scope": scope, "prev": last[scope], "ops": [op]})
        last[scope] = seq
    return events


def play(events: list[dict[str, Any]]) -> LiveStore:
    store = LiveStore()
    store.apply_snapshot(snapshot())
    for event in events:
        assert not store.apply_event(event).hole
    return store


@given(logs(), st.randoms(use_true_random=False))
def test_repeated_events_change_nothing(events: list[dict[str, Any]], random: Random) -> None:
    again = [event for event in events for _ in range(random.randint(1, 3))]
    assert play(again).canonical() == play(events).canonical()


@given(logs(), st.data())
def test_a_missing_event_is_noticed_or_harmless(events: list[dict[str, Any]], data: st.DataObject) -> None:
    """Whatever one event is lost, the next one of its scope says so; and from the cursor on, all comes right."""
    lost = data.draw(st.integers(0, len(events) - 1))
    store = LiveStore()
    store.apply_snapshot(snapshot())
    for position, event in enumerate(events):
        if position != lost and store.apply_event(event).hole:
            assert event["scope"] == events[lost]["scope"]
            assert store.seq < event["seq"]
            break
    else:
        assert all(event["scope"] != events[lost]["scope"] for event in events[lost + 1 :])
        return
    resumed_from = store.seq
    for event in events:
        if event["seq"] > resumed_from:
            assert not store.apply_event(event).hole
    assert store.canonical() == play(events).canonical()


class TestConnection:
    def welcomed(self, *, resumed: bool = False, store: LiveStore | None = None) -> LiveConnection:
        connection = LiveConnection(LiveStore() if store is None else store, random=Random(1))
        connection.opened()
        connection.received(
            json.dumps(
                {
                    "type": "welcome",
                    "user": 1,
                    "epoch": "e",
                    "seq": 0,
                    "resumed": resumed,
                    "heartbeat": 25,
                    "orders": {},
                }
            )
        )
        return connection

    def live(self, **options: Any) -> LiveConnection:
        connection = self.welcomed(**options)
        connection.received(json.dumps(snapshot()))
        connection.received(json.dumps({"type": "heartbeat", "epoch": "e", "seq": 0}))
        return connection

    def test_it_is_live_once_the_server_says_that_all_is_there(self) -> None:
        connection = self.welcomed()
        states = [connection.state]
        for frame in (snapshot(seq=5), {"type": "heartbeat", "epoch": "e", "seq": 5}):
            connection.received(json.dumps(frame))
            states.append(connection.state)
        assert states == [State.CATCHING_UP, State.CATCHING_UP, State.LIVE]

    def test_it_greets_with_its_cursor(self) -> None:
        connection = self.live()
        connection.closed(1006)
        (hello,) = connection.opened()
        assert json.loads(hello) == {"type": "hello", "cursor": {"epoch": "e", "seq": 0}}

    def test_a_hole_asks_for_a_resume(self) -> None:
        event = {"type": "event", "seq": 9, "scope": "a", "prev": 8, "ops": []}
        assert self.live().received(json.dumps(event)).resume

    def test_a_stale_scope_is_loaded_once_when_its_time_has_come(self) -> None:
        now = 5.0
        connection = self.live(store=LiveStore(clock=lambda: now))
        stale = {"type": "event", "seq": 1, "scope": "a", "prev": 0, "ops": [{"op": "stale"}]}
        assert connection.received(json.dumps(stale)).send == ()
        wait = connection.wake_in()
        assert wait is not None
        assert 0 < wait < 1
        now += wait
        beat = json.dumps({"type": "heartbeat", "epoch": "e", "seq": 1})
        (load,) = connection.received(beat).send
        assert json.loads(load)["scope"] == "a"
        assert connection.wake_in() is None
        assert (connection.received(beat).send, connection.due()) == ((), ())

    def test_what_was_out_is_asked_again_over_the_next_connection_alone(self) -> None:
        now = 5.0
        connection = self.live(store=LiveStore(clock=lambda: now))
        connection.received(json.dumps({"type": "event", "seq": 1, "scope": "a", "prev": 0, "ops": [{"op": "stale"}]}))
        now += 1
        assert len(connection.due()) == 1
        connection.closed(1006)
        assert connection.due() == ()
        assert connection.wake_in() is None
        connection.opened()
        welcome = {"type": "welcome", "user": 1, "resumed": True, "heartbeat": 25, "orders": {}}
        connection.received(json.dumps(welcome))
        now += 1
        assert connection.due() == ()
        connection.received(json.dumps({"type": "heartbeat", "epoch": "e", "seq": 1}))
        now += 1
        assert len(connection.due()) == 1

    def test_a_signal_is_of_a_scope_that_is_held_and_of_a_connection_that_is_up_to_date(self) -> None:
        connection = self.welcomed()
        connection.received(json.dumps(snapshot()))
        assert connection.signal("a", "typing") is None
        connection.received(json.dumps({"type": "heartbeat", "epoch": "e", "seq": 0}))
        assert json.loads(connection.signal("a", "typing") or "") == {
            "type": "signal",
            "scope": "a",
            "signal": "typing",
        }
        assert connection.signal("c", "typing") is None

    def test_what_is_of_the_moment_ends_with_the_connection(self) -> None:
        connection = self.live()
        connection.received(json.dumps({"type": "signal", "scope": "a", "signal": "typing", "user": 8}))
        connection.received(json.dumps({"type": "presence", "scopes": {"a": {"count": 1, "users": [8]}}}))
        assert (connection.store.typing("a"), connection.store.present("a")) != ([], None)
        connection.closed(1006)
        assert (connection.store.typing("a"), connection.store.present("a")) == ([], None)

    def test_signing_out_ends_it(self) -> None:
        connection = self.live()
        assert connection.closed(4401) is None
        assert connection.state is State.SIGNED_OUT

    @pytest.mark.parametrize("code", [1009, 4400, 4404])
    def test_its_own_fault_is_not_repeated(self, code: int) -> None:
        connection = self.live()
        assert connection.closed(code) is None
        assert connection.state is State.FAILED

    @pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 4408, 4409, 4429])
    def test_it_comes_again_with_growing_random_delays(self, code: int) -> None:
        connection = self.live()
        delays = [connection.closed(code) for _ in range(12)]
        assert all(delay is not None and 0 <= delay <= 10 for delay in delays)
        assert len(set(delays)) == len(delays)

    def test_frames_out_of_turn_are_refused(self) -> None:
        connection = LiveConnection(LiveStore())
        with pytest.raises(ProtocolViolation, match="but it is offline"):
            connection.received(json.dumps({"type": "heartbeat", "epoch": "e", "seq": 1}))

    def test_another_users_welcome_is_refused(self) -> None:
        connection = self.live()
        connection.closed(1006)
        connection.opened()
        frame = {"type": "welcome", "user": 2, "resumed": True, "heartbeat": 25, "orders": {}}
        with pytest.raises(ProtocolViolation, match="user 2"):
            connection.received(json.dumps(frame))

    def test_a_page_is_asked_from_the_bound(self) -> None:
        connection = self.live()
        assert connection.page("a", "note") is None
        connection.store.windows["a"].bounds["note"] = [5, 30]
        frame = json.loads(connection.page("a", "note") or "")
        assert frame["before"] == [5, 30]
        assert connection.page("a", "note") is None, "one request about a scope at a time"

    def test_an_answer_from_before_the_scope_came_anew_is_not_taken(self) -> None:
        connection = self.live()
        connection.store.windows["user:1"] = Window(at=0, bounds={}, entities={})
        connection.store.windows["a"].bounds["note"] = [5, 30]
        first = json.loads(connection.page("a", "note") or "")
        window = {"entities": {"note": []}, "bounds": {"note": [5, 30]}}
        ops = [{"op": "leave", "scope": "a"}, {"op": "enter", "scope": "a", "window": window}]
        connection.received(json.dumps({"type": "event", "seq": 7, "scope": "user:1", "prev": 0, "ops": ops}))
        second = json.loads(connection.page("a", "note") or "")
        answer: JSON = {"type": "page", "scope": "a", "entity": "note", "epoch": "e", "items": [], "bound": None}
        connection.received(json.dumps({**answer, "id": first["id"], "seq": 3}))
        assert connection.store.windows["a"].bounds["note"] == [5, 30]
        assert connection.store.expects("a")
        connection.received(json.dumps({**answer, "id": second["id"], "seq": 8}))
        assert connection.store.windows["a"].bounds["note"] is None

    def test_nothing_is_taken_behind_a_hole(self) -> None:
        connection = self.live()
        connection.received(json.dumps({"type": "event", "seq": 9, "scope": "a", "prev": 8, "ops": []}))
        with pytest.raises(ProtocolViolation):
            connection.received(json.dumps({"type": "heartbeat", "epoch": "e", "seq": 20}))
        assert connection.store.seq == 0
