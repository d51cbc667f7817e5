"""Presence and signals between hubs and their sockets, without I/O and by the test's clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stack.live.log import Position
from stack.live.presences import FORGET_AFTER, MOST_NAMED
from stack.live.signals import BEAT, CROWD, GATHER
from stack.live.tests.hubs import FakeSocket, Net

SOON = 2.5 * GATHER
pytestmark = pytest.mark.usefixtures("rooms")


class TestPresence:
    def test_it_is_told_whole_to_who_connects_and_to_the_others_that_somebody_came(self) -> None:
        net = Net()
        here, there = net.hubs
        anna = here.connects(1, "room:1", "room:2", "user:1")
        net.passes(SOON)
        assert anna.frames == [
            {"type": "presence", "scopes": {s: {"count": 1, "users": [1]} for s in sorted(anna.scopes - {"user:1"})}}
        ]
        bob = there.connects(2, "room:1")
        net.passes(SOON)
        assert anna.present == {"room:1": [1, 2], "room:2": [1]}
        assert bob.present == {"room:1": [1, 2]}
        assert len(anna.frames) == 2

    def test_a_user_is_present_until_the_last_socket_has_gone(self) -> None:
        net = Net()
        here, there = net.hubs
        anna = here.connects(1, "room:1")
        phone, desk, tab = there.connects(2, "room:1"), there.connects(2, "room:1"), here.connects(2, "room:1")
        net.passes(SOON)
        told = len(anna.frames)
        for hub, socket in ((there, phone), (here, tab)):
            hub.leaves(socket)
            net.passes(SOON)
            assert anna.present == {"room:1": [1, 2]}
        assert len(anna.frames) == told, "nothing has changed for anna"
        there.leaves(desk)
        net.passes(SOON)
        assert anna.present == {"room:1": [1]}

    def test_a_reload_is_no_change(self) -> None:
        net = Net()
        here, there = net.hubs
        anna, bob = here.connects(1, "room:1"), there.connects(2, "room:1")
        net.passes(SOON)
        told = len(anna.frames)
        there.leaves(bob)
        there.connects(2, "room:1")
        net.passes(SOON)
        assert len(anna.frames) == told

    def test_coming_and_going_is_gathered_for_longer_where_many_are_told(self) -> None:
        net = Net(1)
        (hub,) = net.hubs
        crowd = [hub.connects(user, "room:1") for user in range(2 * CROWD)]
        net.passes(5)
        told = sum(len(socket.frames) for socket in crowd)
        assert told <= 2 * len(crowd)
        for user in range(2 * CROWD, 2 * CROWD + 10):
            crowd.append(hub.connects(user, "room:1"))
            net.passes(GATHER / 5)
        assert sum(len(socket.frames) for socket in crowd) == told
        net.passes(2 * GATHER)
        assert sum(len(socket.frames) for socket in crowd) == told + len(crowd)
        said = crowd[0].frames[-1]["scopes"]["room:1"]
        assert (said["count"], said["users"]) == (len(crowd), list(range(MOST_NAMED)))

    def test_a_hub_that_starts_learns_of_the_others_at_once(self) -> None:
        net = Net()
        net.hubs[0].connects(1, "room:1")
        net.passes(60)
        new = net.joins()
        net.passes(0.01)
        assert new.counts("room:1") == (1, [1])

    def test_a_hub_that_ends_or_dies_is_forgotten(self) -> None:
        net = Net(3)
        here, ends, dies = net.hubs
        anna = here.connects(1, "room:1")
        ends.connects(2, "room:1")
        dies.connects(3, "room:1")
        net.passes(SOON)
        net.hubs = [here]
        net.tell(ends.signals.farewell())
        net.passes(SOON)
        assert anna.present == {"room:1": [1, 3]}
        net.passes(FORGET_AFTER - BEAT - SOON)
        assert anna.present == {"room:1": [1, 3]}
        net.passes(BEAT + SOON)
        assert anna.present == {"room:1": [1]}

    @pytest.mark.parametrize("at", [Position("e", 99), Position("another", 1), None], ids=["ahead", "another", "none"])
    def test_a_farewell_is_heard_wherever_the_hub_stood(self, at: Position | None) -> None:
        net = Net()
        here, ends = net.hubs
        anna = here.connects(1, "room:1")
        ends.connects(2, "room:1")
        net.passes(SOON)
        net.hubs = [here]
        ends.at = at
        net.tell(ends.signals.farewell())
        net.passes(SOON)
        assert anna.present == {"room:1": [1]}

    def test_a_hub_that_froze_is_forgotten_and_comes_back_with_everybody(self) -> None:
        net = Net()
        here, frozen = net.hubs
        here.connects(1, "room:1")
        frozen.connects(2, "room:1")
        net.passes(SOON)
        net.hubs = [here]
        net.passes(FORGET_AFTER + BEAT)
        assert here.counts("room:1") == (1, [1])
        net.hubs = [here, frozen]
        net.passes(2)
        assert here.counts("room:1") == frozen.counts("room:1") == (2, [1, 2])

    @pytest.mark.parametrize("outage", [0.5, 5, 60])
    def test_what_happened_while_a_hub_was_cut_off_is_told_when_it_is_back(self, outage: float) -> None:
        net = Net()
        here, there = net.hubs
        bob = there.connects(2, "room:1")
        net.passes(SOON)
        here.cut = there.cut = True
        anna = here.connects(1, "room:1")
        there.leaves(bob)
        there.connects(3, "room:1")
        net.passes(outage)
        here.cut = there.cut = False
        net.passes(2 + SOON)
        assert here.counts("room:1") == there.counts("room:1") == (2, [1, 3])
        assert anna.present == {"room:1": [1, 3]}

    def test_while_cut_off_a_hub_tries_once_a_second_and_nothing_piles_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        net = Net(1)
        (hub,) = net.hubs
        anna = hub.connects(1, "room:1")
        hub.cut = True
        tried: list[float] = []
        failed = hub.signals.failed

        def fails() -> None:
            tried.append(net.now)
            failed()

        monkeypatch.setattr(hub.signals, "failed", fails)
        for _ in range(100):
            hub.says(anna, "room:1")
            hub.leaves(hub.connects(2, "room:1"))
            net.passes(0.1)
        assert 9 <= len(tried) <= 11
        assert hub.signals._unsent == {}

    @given(
        steps=st.lists(
            st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["room:1", "room:2"]), st.booleans()),
            max_size=25,
        ),
        losses=st.lists(st.booleans(), max_size=60),
        pauses=st.lists(st.sampled_from([0.0, 0.1, 0.3, 1.0, 11.0]), min_size=25, max_size=25),
    )
    @settings(deadline=None)
    def test_whatever_is_lost_all_hubs_agree_in_the_end(
        self, steps: list[tuple[int, int, str, bool]], losses: list[bool], pauses: list[float]
    ) -> None:
        fates = iter(losses)
        net = Net(3)
        net.lose = lambda: next(fates, False)
        sockets: list[tuple[int, FakeSocket]] = []
        for (which, user, scope, comes), pause in zip(steps, pauses, strict=False):
            if comes or not sockets:
                sockets.append((which, net.hubs[which].connects(user, scope)))
            else:
                home, socket = sockets.pop(user % len(sockets))
                net.hubs[home].leaves(socket)
            net.passes(pause)
        net.passes(30)
        for scope in ("room:1", "room:2"):
            truth = sorted({socket.user for _home, socket in sockets if scope in socket.scopes})
            for hub in net.hubs:
                assert hub.counts(scope) == (len(truth), truth)
            for _home, socket in sockets:
                if scope in socket.scopes:
                    assert socket.present[scope] == truth

    @pytest.mark.parametrize("whole", [False, True], ids=["as a change", "within everything"])
    def test_a_change_that_was_lost_is_noticed_at_the_next_beat(self, whole: bool) -> None:
        net = Net()
        here, there = net.hubs
        there.connects(2, "room:1")
        net.passes(SOON)
        net.lose = lambda: True
        there.connects(3, "room:1")
        if whole:
            there.signals.failed()
        net.passes(2)
        assert "whole" in net.messages[-1] or not whole
        net.lose = lambda: False
        net.passes(BEAT)
        assert here.counts("room:1") == (2, [2, 3])

    def test_the_whole_of_before_changes_nothing(self) -> None:
        net = Net()
        here, there = net.hubs
        there.connects(2, "room:1")
        there.signals.failed()
        net.passes(2)
        whole = next(message for message in reversed(net.messages) if message.get("whole"))
        there.connects(3, "room:1")
        net.passes(SOON)
        net.tell(whole)
        assert here.counts("room:1") == (2, [2, 3])

    def test_a_message_that_comes_twice_or_late_changes_nothing(self) -> None:
        net = Net()
        here, there = net.hubs
        here.connects(1, "room:1")
        bob = there.connects(2, "room:1")
        net.passes(SOON)
        there.leaves(bob)
        net.passes(SOON)
        for message in net.messages:
            net.tell(message)
        assert here.counts("room:1") == (1, [1])


class TestAccess:
    def test_who_leaves_vanishes_and_hears_no_more_even_where_hubs_do_not_hear_each_other(self) -> None:
        net = Net()
        here, there = net.hubs
        anna, bob = here.connects(1, "room:1"), there.connects(2, "room:1")
        net.passes(SOON)
        there.cut = True
        here.follows(11, 2, "leave", "room:1")
        there.follows(11, 2, "leave", "room:1")
        heard = len(bob.frames)
        net.passes(SOON)
        assert anna.present == {"room:1": [1]}
        here.connects(3, "room:1")
        here.says(anna, "room:1")
        there.connects(4, "room:1")
        net.passes(60)
        assert len(bob.frames) == heard

    def test_a_hub_that_has_not_come_to_a_leave_is_not_believed(self) -> None:
        net = Net()
        here, behind = net.hubs
        anna, bob = here.connects(1, "room:1"), behind.connects(2, "room:1")
        net.passes(SOON)
        here.follows(11, 2, "leave", "room:1")
        behind.says(bob, "room:1")
        behind.connects(2, "room:1")
        behind.signals.failed()
        net.passes(SOON + 2)
        assert (anna.present, anna.of("signal")) == ({"room:1": [1]}, [])
        here.follows(12, 2, "enter", "room:1")
        for seq, op in ((11, "leave"), (12, "enter")):
            behind.follows(seq, 2, op, "room:1")
        behind.says(bob, "room:1")
        net.passes(SOON)
        assert anna.present == {"room:1": [1, 2]}
        assert len(anna.of("signal")) == 1

    def test_a_hub_hears_nothing_of_what_lies_before_itself_in_the_log(self) -> None:
        """Somebody here may have lost the scope, and this hub does not know yet."""
        net = Net()
        behind, ahead = net.hubs
        anna, bob = behind.connects(1, "room:1"), ahead.connects(2, "room:1")
        net.passes(SOON)
        ahead.follows(11, 1, "leave", "room:1")
        ahead.says(bob, "room:1")
        ahead.connects(3, "room:1")
        heard = list(anna.frames)
        net.passes(5)
        assert anna.frames == heard
        behind.follows(11, 1, "leave", "room:1")
        carl = behind.connects(4, "room:1")
        net.passes(5)
        assert anna.frames == heard
        assert carl.present == {"room:1": [2, 3, 4]}

    def test_a_hub_of_another_log_is_not_heard(self) -> None:
        net = Net()
        here, other = net.hubs
        other.at = Position("before", 5)
        anna, bob = here.connects(1, "room:1"), other.connects(2, "room:1")
        other.says(bob, "room:1")
        net.passes(5)
        assert (anna.present, anna.of("signal")) == ({"room:1": [1]}, [])
        other.at = here.at
        net.passes(BEAT + 2)
        assert anna.present == {"room:1": [1, 2]}

    def test_a_new_log_makes_nobody_unbelievable(self) -> None:
        net = Net()
        here, there = net.hubs
        for hub in net.hubs:
            hub.follows(11, 2, "leave", "room:1")
            hub.at = Position("new", 3)
            hub.signals.began()
        there.connects(2, "room:1")
        net.passes(SOON)
        assert here.counts("room:1") == (1, [2])

    def test_who_enters_with_a_second_device_is_told_who_is_there(self) -> None:
        net = Net()
        here, there = net.hubs
        here.connects(1, "room:1")
        phone, desk = there.connects(2), there.connects(2)
        net.passes(SOON)
        for hub in net.hubs:
            hub.follows(11, 2, "enter", "room:1")
        net.passes(SOON)
        assert phone.present == desk.present == {"room:1": [1, 2]}

    def test_an_enter_of_a_scope_that_is_held_counts_once(self) -> None:
        net = Net(1)
        (hub,) = net.hubs
        anna = hub.connects(1, "room:1")
        hub.follows(11, 1, "enter", "room:1")
        hub.leaves(anna)
        assert hub.counts("room:1") == (0, [])
