"""Presence and signals between hubs and their sockets, without I/O and by the test's clock."""

from __future__ import annotations

import asyncio
import json
import math

import pytest

from stack.live.connection import Connection
from stack.live.frames import Close, ProtocolError
from stack.live.signals import BURST, GATHER, MOST_TOLD, MOST_UNREAD, PACE, RATE
from stack.live.tests.hubs import Net
from stack.live.tests.wire import Wire

SOON = 2.5 * GATHER
pytestmark = pytest.mark.usefixtures("rooms")


class TestSignals:
    def test_a_signal_reaches_all_who_hold_the_scope_but_not_its_sender(self) -> None:
        net = Net()
        here, there = net.hubs
        anna, tab = here.connects(1, "room:1"), there.connects(1, "room:1")
        near, far, elsewhere = here.connects(2, "room:1"), there.connects(3, "room:1"), there.connects(4, "room:2")
        here.says(anna, "room:1")
        net.passes(0)
        said = [{"type": "signal", "scope": "room:1", "signal": "typing", "user": 1}]
        assert [s.of("signal") for s in (near, far, elsewhere, anna, tab)] == [said, said, [], [], []]

    @pytest.mark.parametrize(("scope", "name"), [("room:1", "waving"), ("hall:1", "typing"), ("room:1:2", "typing")])
    def test_a_signal_that_the_scope_does_not_have_is_malformed(self, scope: str, name: str) -> None:
        net = Net(1)
        (hub,) = net.hubs
        with pytest.raises(ProtocolError) as raised:
            hub.says(hub.connects(1, scope), scope, name)
        assert raised.value.code is Close.MALFORMED

    def test_a_signal_of_a_scope_that_is_not_held_is_ignored(self) -> None:
        net = Net()
        here, there = net.hubs
        bobs = [here.connects(2, "room:1"), there.connects(2, "room:1")]
        here.says(here.connects(1, "room:2"), "room:1")
        net.passes(SOON)
        assert [bob.of("signal") for bob in bobs] == [[], []]

    def test_more_than_a_few_are_dropped_in_silence_whichever_device_sends_them(self) -> None:
        net = Net()
        here, there = net.hubs
        devices = [here.connects(1, "room:1") for _ in range(3)]
        near, far = here.connects(2, "room:1"), there.connects(3, "room:1")
        for number in range(30):
            here.says(devices[number % 3], "room:1")
        net.passes(0)
        assert len(near.of("signal")) == BURST
        assert len(far.of("signal")) == 1, "the same in one moment is said once"
        net.passes(1)
        for _ in range(30):
            here.says(devices[0], "room:1")
        assert len(near.of("signal")) == BURST + RATE
        here.says(near, "room:1")
        assert devices[0].of("signal")[-1]["user"] == 2, "others are not held to it"

    def test_between_hubs_signals_go_in_company(self) -> None:
        net = Net()
        here, there = net.hubs
        people = [here.connects(user, "room:1") for user in range(5)]
        far = there.connects(9, "room:1")
        net.passes(SOON)
        before = len(net.messages)
        for socket in people:
            here.says(socket, "room:1")
            here.says(socket, "room:1")
            net.passes(PACE / 4)
        net.passes(PACE)
        assert [frame["user"] for frame in far.of("signal")] == [0, 1, 2, 3, 4]
        assert len(net.messages) == before + 3

    def test_a_crowd_that_types_is_not_all_that_a_process_does(self) -> None:
        net = Net(1)
        (hub,) = net.hubs
        crowd = [hub.connects(user, "room:1") for user in range(500)]
        few = [hub.connects(user, "room:2") for user in range(1000, 1003)]
        for socket in crowd[:100]:
            hub.says(socket, "room:1")
        assert sum(len(socket.of("signal")) for socket in crowd) <= MOST_TOLD
        net.passes(1)
        hub.says(few[0], "room:2")
        assert [len(socket.of("signal")) for socket in few] == [0, 1, 1]


class TestPressure:
    def test_who_has_much_unread_is_passed_over_and_told_all_at_a_heartbeat(self) -> None:
        net = Net()
        here, there = net.hubs
        slow = here.connects(1, "room:1", "room:2")
        net.passes(SOON)
        told = len(slow.frames)
        slow.waiting = MOST_UNREAD + 1
        bob = there.connects(2, "room:1")
        there.says(bob, "room:1")
        net.passes(SOON)
        here.signals.beat()
        assert len(slow.frames) == told
        slow.waiting = MOST_UNREAD
        net.passes(60)
        assert len(slow.frames) == told, "not before the next heartbeat"
        here.signals.beat()
        assert slow.present == {"room:1": [1, 2], "room:2": [1]}
        told = len(slow.frames)
        here.signals.beat()
        assert len(slow.frames) == told

    def test_who_is_slow_from_the_beginning_is_told_later_too(self) -> None:
        net = Net(1)
        (hub,) = net.hubs
        slow = hub.connects(1, "room:1")
        slow.waiting = MOST_UNREAD + 1
        net.passes(SOON)
        assert slow.frames == []
        slow.waiting = 0
        hub.signals.beat()
        assert slow.present == {"room:1": [1]}

    @pytest.mark.parametrize("leaves", [True, False], ids=["the socket", "the scope"])
    def test_who_has_gone_meanwhile_is_told_nothing(self, leaves: bool) -> None:
        net = Net(1)
        (hub,) = net.hubs
        slow = hub.connects(1, "room:1")
        slow.waiting = MOST_UNREAD + 1
        net.passes(SOON)
        if leaves:
            hub.leaves(slow)
        else:
            hub.follows(11, 1, "leave", "room:1")
        slow.waiting = 0
        hub.signals.beat()
        assert slow.of("presence") == []

    def test_a_real_socket_that_is_not_read_is_passed_over_and_not_closed(self) -> None:
        async def story() -> None:
            net = Net(1)
            (hub,) = net.hubs
            wire = Wire()
            wire.blocked = asyncio.Event()
            slow = Connection(wire.send, user=1, session="", expires=math.inf, abort=wire.abort)
            hub.roster.add(slow, {"room:1"})
            slow.push(json.dumps({"type": "event", "filler": "x" * 2 * MOST_UNREAD}))
            net.passes(SOON)
            for _ in range(1000):
                hub.says(hub.connects(2, "room:1"), "room:1")
                net.passes(1)
            wire.blocked.set()
            await slow.drained()
            assert [frame["type"] for frame in wire.frames] == ["event"]
            hub.signals.beat()
            await slow.drained()
            assert wire.frames[-1]["scopes"] == {"room:1": {"count": 2, "users": [1, 2]}}
            assert wire.code is None

        asyncio.run(story())

    def test_nothing_is_kept_of_who_has_gone(self) -> None:
        net = Net()
        here, there = net.hubs
        sockets = [here.connects(user, f"room:{user}", "room:0") for user in range(50)]
        for user, socket in enumerate(sockets):
            here.says(socket, "room:0")
            here.follows(11 + user, user, "leave", "room:0")
            there.follows(11 + user, user, "leave", "room:0")
        net.passes(SOON)
        for socket in sockets:
            here.leaves(socket)
        net.passes(120)
        here.says(here.connects(99, "room:99"), "room:99")
        for name in ("_due", "_told", "_owed", "_passed_over", "_unsent"):
            assert not [key for key in getattr(here.signals, name) if getattr(key, "user", 99) != 99], name
        for hub in net.hubs:
            assert hub.signals.presences._left == {}
            assert set(hub.signals.presences._here) <= {"room:99"}
        assert set(here.signals._allowances._due) == {99}
