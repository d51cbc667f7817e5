from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from harness.play.deliveries import CATCH_UP, LIVE, Deliveries
from harness.play.errors import LostDelivery
from harness.tests.observing import Seen


@dataclass
class Device:
    label: str
    ledger: Deliveries
    online: bool = True
    connection: str = "live"
    found_in_snapshot: list[str] = field(default_factory=list)

    def looks(self) -> None:
        self.ledger.arrived(self, self.found_in_snapshot, at=time.perf_counter(), by_event=False)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def ledger(seen: Seen) -> Deliveries:
    return Deliveries(seen)


def expect(ledger: Deliveries, message: str, *devices: Device, began: float = 0.0) -> None:
    ledger.expect(message, devices, about=f"'{message}' from alice in 'Lunch'", began=began)


def test_a_delivery_counts_from_the_intended_begin_of_sending(ledger: Deliveries, seen: Seen) -> None:
    bob = Device("bob", ledger)
    expect(ledger, "hello", bob, began=10.0)
    ledger.arrived(bob, ["hello", "something old"], at=10.25)
    ledger.settle(within=0)
    assert seen.deliveries == [(LIVE, 250.0, None)]
    assert (ledger.received, ledger.outstanding) == (1, 0)


def test_a_lost_delivery_fails_and_says_what_and_to_whom(ledger: Deliveries, seen: Seen) -> None:
    bob, phone = Device("bob", ledger), Device("bob (phone)", ledger, connection="catching up")
    expect(ledger, "hello", bob, phone)
    ledger.arrived(bob, ["hello"], at=0.1)
    with pytest.raises(LostDelivery) as caught:
        ledger.settle(within=0.05)
    assert "'hello' from alice in 'Lunch' -> bob (phone) (live connection catching up)" in str(caught.value)
    assert "-> bob (live" not in str(caught.value)
    assert [error for *_, error in seen.deliveries] == [None, "lost: 'hello' from alice in 'Lunch'"]


def test_a_lost_delivery_is_reported_once(ledger: Deliveries, seen: Seen) -> None:
    expect(ledger, "hello", Device("bob", ledger))
    with pytest.raises(LostDelivery):
        ledger.settle(within=0)
    ledger.settle(within=0)
    assert len(seen.deliveries) == 1


def test_a_message_must_reach_every_device_by_itself(ledger: Deliveries) -> None:
    bob, phone = Device("bob", ledger), Device("bob (phone)", ledger)
    expect(ledger, "hello", bob, phone)
    ledger.arrived(bob, ["hello"], at=0.1)
    ledger.arrived(bob, ["hello"], at=0.2)
    assert not ledger.awaits(bob)
    assert ledger.awaits(phone)


def test_settling_waits_for_what_is_under_way(ledger: Deliveries) -> None:
    bob = Device("bob", ledger)
    expect(ledger, "hello", bob)
    late = threading.Timer(0.05, lambda: ledger.arrived(bob, ["hello"], at=time.perf_counter()))
    late.start()
    ledger.settle(within=10)
    late.join()
    assert ledger.received == 1


def test_who_stays_offline_owes_nothing(ledger: Deliveries) -> None:
    bob = Device("bob", ledger, online=False)
    expect(ledger, "hello", bob)
    ledger.settle(within=0)
    assert ledger.outstanding == 1


def test_who_comes_back_must_have_it_but_its_time_says_nothing(ledger: Deliveries, seen: Seen) -> None:
    bob = Device("bob", ledger)
    expect(ledger, "before", bob)
    bob.online = False
    ledger.interrupted(bob)
    expect(ledger, "meanwhile", bob)
    bob.online = True
    ledger.arrived(bob, ["before"], at=1.0)
    with pytest.raises(LostDelivery, match="'meanwhile'"):
        ledger.settle(within=0)
    assert seen.deliveries[0] == (CATCH_UP, 1000.0, None)


def test_what_came_with_a_snapshot_is_not_lost(ledger: Deliveries, seen: Seen) -> None:
    bob = Device("bob", ledger, found_in_snapshot=["hello"])
    expect(ledger, "hello", bob)
    ledger.settle(within=5)
    assert [name for name, *_ in seen.deliveries] == [CATCH_UP]


def test_a_refused_message_is_for_nobody(ledger: Deliveries, seen: Seen) -> None:
    expect(ledger, "hello", Device("bob", ledger))
    ledger.withdraw("hello")
    ledger.settle(within=0)
    assert seen.deliveries == []
