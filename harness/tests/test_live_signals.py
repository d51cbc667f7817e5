"""Presence and typing on a real stack with two backends: they arrive, they end, and nothing else depends on them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from harness.faults.catalogue import fault
from harness.live import LiveStore
from harness.stack import RunningStack
from harness.tests import raw
from harness.tests.traffic import Device, held

WITHIN = 20.0
FORGOTTEN_WITHIN = 25.0
GATHERED = 3.0
"""Seconds in which presence is told, on a machine that does much else."""


@dataclass
class Clock:
    """What a client goes by."""

    now: float = 50.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Room:
    """Two people in a chat of their own: anna on the first backend, bob on the second; and carl, who is not in it."""

    stack: RunningStack
    chat: int
    anna: Device
    bob: Device
    carl: Device
    sessions: dict[int, str]
    clock: Clock

    @property
    def scope(self) -> str:
        return f"chat:{self.chat}"

    def sees_present(self, device: Device, *users: Device, within: float = WITHIN) -> bool:
        wanted = frozenset(user.user for user in users)

        def seen(store: LiveStore) -> bool:
            present = store.present(self.scope)
            return present is not None and present.users == wanted and present.complete

        return device.live.wait(seen, within=within)

    def sees_typing(self, device: Device, *users: Device, within: float = WITHIN) -> bool:
        wanted = sorted(user.user for user in users)
        return device.live.wait(lambda store: store.typing(self.scope) == wanted, within=within)

    def types_until_seen(self, device: Device, by: Device) -> bool:
        """Best effort may need a second try."""
        return any(
            device.live.signal(self.scope, "typing") and self.sees_typing(by, device, within=2) for _ in range(10)
        )

    def sends(self, device: Device) -> str:
        client_id = str(uuid.uuid4())
        device.send(self.chat, client_id, "hello")
        return client_id

    def arrives(self, device: Device, client_id: str) -> bool:
        return device.live.wait(lambda store: client_id in held(store, self.chat), within=WITHIN)


@pytest.fixture
def room(stack: RunningStack, company: list[tuple[int, str]]) -> Iterator[Room]:
    clock = Clock()
    with ExitStack() as exits:
        devices = []
        for number, (user, session) in enumerate(company[:3]):
            base = stack.backends[number % 2]
            device = Device.of(base, user=user, session=session, store=LiveStore(clock=clock))
            exits.callback(device.http.close)
            exits.callback(device.live.close)
            devices.append(device)
        anna, bob, carl = devices
        for device in devices:
            assert device.live.wait_live(within=30), device.live.error
        chat = anna.until_taken("POST", "/api/chats", {"title": "", "members": [bob.user]})["id"]
        made = Room(stack, chat, anna, bob, carl, dict(company), clock)
        for device in (anna, bob):
            assert made.sees_present(device, anna, bob)
        yield made


def test_typing_arrives_on_the_other_backend_and_is_over_after_six_seconds_of_the_clients_clock(room: Room) -> None:
    assert room.types_until_seen(room.bob, room.anna)
    room.clock.now += 5.9
    assert room.anna.live.read(lambda store: store.typing(room.scope)) == [room.bob.user]
    room.clock.now += 0.2
    assert room.anna.live.read(lambda store: store.typing(room.scope)) == []
    assert room.types_until_seen(room.anna, room.bob)
    assert room.bob.live.read(lambda store: store.typing(room.scope)) == [room.anna.user], "nobody hears themselves"


def test_a_user_is_present_until_the_last_socket_has_gone(room: Room) -> None:
    with raw.socket(room.stack.backends[0], room.sessions[room.bob.user]) as tab:
        raw.greet(tab)
        # What is about to be told to all of a scope comes in a frame of its own.
        present = frames_until(tab, lambda frame: room.scope in frame.get("scopes", ()))[-1]["scopes"][room.scope]
        assert present == {"count": 2, "users": sorted([room.anna.user, room.bob.user])}
        room.bob.live.close()
        # One more comes and goes, which tells that what came before has been told.
        carl = room.carl
        room.anna.until_taken("POST", f"/api/chats/{room.chat}/members", {"user": carl.user})
        assert room.sees_present(room.anna, room.anna, room.bob, carl)
        carl.live.close()
        assert room.sees_present(room.anna, room.anna, room.bob)
    assert room.sees_present(room.anna, room.anna)
    room.bob.live.start()
    assert room.sees_present(room.anna, room.anna, room.bob)
    assert room.sees_present(room.bob, room.anna, room.bob)


def test_who_is_removed_vanishes_and_hears_no_more_of_it(room: Room) -> None:
    other = room.anna.until_taken("POST", "/api/chats", {"title": "", "members": [room.bob.user]})["id"]
    with raw.socket(room.stack.backends[1], room.sessions[room.bob.user]) as tab:
        raw.greet(tab)
        room.anna.until_taken("DELETE", f"/api/chats/{room.chat}/members/{room.bob.user}")
        assert room.sees_present(room.anna, room.anna)
        frames_until(tab, lambda frame: any(op == {"op": "leave", "scope": room.scope} for op in frame.get("ops", ())))
        # The removed one says something there, and hears nothing of what is said and who comes.
        tab.send(json.dumps({"type": "signal", "scope": room.scope, "signal": "typing"}))
        room.anna.live.signal(room.scope, "typing")
        room.anna.until_taken("POST", f"/api/chats/{room.chat}/members", {"user": room.carl.user})
        assert room.sees_present(room.anna, room.anna, room.carl)
        assert room.types_until_seen(room.anna, room.carl)
        assert room.sees_typing(room.anna)
        room.anna.live.signal(f"chat:{other}", "typing")
        marker = {"type": "signal", "scope": f"chat:{other}", "signal": "typing", "user": room.anna.user}
        heard = frames_until(tab, lambda frame: frame == marker)
    assert heard
    assert not [frame for frame in heard if frame.get("scope") == room.scope or room.scope in frame.get("scopes", ())]


def test_a_signal_of_somebody_elses_scope_is_ignored_and_one_that_is_none_ends_the_socket(room: Room) -> None:
    with raw.socket(room.stack.backends[0], room.sessions[room.carl.user]) as stranger:
        raw.greet(stranger)
        for scope in (room.scope, "chat:0"):
            stranger.send(json.dumps({"type": "signal", "scope": scope, "signal": "typing"}))
        stranger.send(raw.load(1, "chat:0"))
        assert raw.until(stranger, "scope")["window"] is None
        assert room.types_until_seen(room.bob, room.anna)
        assert room.anna.live.read(lambda store: store.typing(room.scope)) == [room.bob.user]
        stranger.send(json.dumps({"type": "signal", "scope": room.scope, "signal": "waving"}))
        assert raw.closed_with(stranger) == 4400


def test_many_signals_are_dropped_and_harm_nothing(room: Room) -> None:
    with (
        raw.socket(room.stack.backends[1], room.sessions[room.bob.user]) as loud,
        raw.socket(room.stack.backends[0], room.sessions[room.anna.user]) as hears,
    ):
        raw.greet(loud)
        raw.greet(hears)
        for _ in range(150):
            loud.send(json.dumps({"type": "signal", "scope": room.scope, "signal": "typing"}))
        loud.send(raw.load(7, room.scope))
        assert raw.until(loud, "scope")["id"] == 7
        client_id = room.sends(room.bob)
        heard = frames_until(hears, lambda frame: client_id in json.dumps(frame))
    assert room.arrives(room.anna, client_id)
    # Ten at once, and two for each second that all of this took; a message between hubs has one of the same at most.
    assert 1 <= len([frame for frame in heard if frame["type"] == "signal"]) <= 50


@pytest.mark.parametrize("loss", ["killed", "paused"])
def test_without_redis_all_else_works_and_presence_comes_back(room: Room, loss: str) -> None:
    with fault(room.stack, "redis", loss):
        for sender, reader in ((room.anna, room.bob), (room.bob, room.anna)):
            assert room.arrives(reader, room.sends(sender))
        with raw.socket(room.stack.backends[0], room.sessions[room.bob.user]) as tab:
            raw.greet(tab)
            # Those of one backend still hear each other.
            tab.send(json.dumps({"type": "signal", "scope": room.scope, "signal": "typing"}))
            assert room.sees_typing(room.anna, room.bob)
        room.clock.now += 10
        room.bob.live.cut()
    assert room.sees_present(room.anna, room.anna, within=WITHIN + FORGOTTEN_WITHIN)
    room.bob.live.start()
    for device in (room.anna, room.bob):
        assert room.sees_present(device, room.anna, room.bob, within=WITHIN + FORGOTTEN_WITHIN)
    assert room.types_until_seen(room.bob, room.anna)


def test_a_backend_that_was_killed_and_is_back_knows_who_is_there(room: Room) -> None:
    room.stack.kill("backend-2")
    room.stack.start("backend-2")
    assert room.sees_present(room.bob, room.anna, room.bob, within=30)
    assert room.sees_present(room.anna, room.anna, room.bob)
    assert room.types_until_seen(room.bob, room.anna)


@pytest.mark.heavy
def test_a_backend_that_was_killed_is_forgotten_with_its_users(room: Room) -> None:
    room.stack.kill("backend-2")
    try:
        assert room.sees_present(room.anna, room.anna, within=FORGOTTEN_WITHIN + GATHERED)
    finally:
        room.stack.start("backend-2")
    assert room.sees_present(room.anna, room.anna, room.bob, within=30)


def frames_until(client: ClientConnection, last: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """The frames up to one that was waited for."""
    frames: list[dict[str, Any]] = []
    while not frames or not last(frames[-1]):
        frames.append(json.loads(client.recv(timeout=WITHIN)))
    return frames
