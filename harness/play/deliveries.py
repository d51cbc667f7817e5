"""The ledger of sent messages: who must get each of them, and who did, with the true latency."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from harness.play.errors import LostDelivery
from harness.play.observers import Observer

LIVE = "message"
CATCH_UP = "message, after being offline"
SETTLE_WITHIN = 10.0
LOOK_EVERY = 0.25


class Receiver(Protocol):
    """A device that messages are delivered to."""

    @property
    def label(self) -> str:
        """Who and on which device; unique on the stage."""

    @property
    def online(self) -> bool:
        """Whether the device means to be connected, even if the connection is cut just now."""

    @property
    def connection(self) -> str:
        """The state of its live connection, in words."""

    def looks(self) -> None:
        """Tell the ledger what it holds, also what came in other ways than as an event."""


@dataclass(kw_only=True)
class _Delivery:
    receiver: Receiver
    message: str
    about: str
    began: float
    interrupted: bool


class Deliveries:
    """What was sent on one stage and where it must arrive. Safe to use from many threads or greenlets."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._changed = threading.Condition()
        self._pending: dict[tuple[str, str], _Delivery] = {}
        self._received = 0

    @property
    def received(self) -> int:
        """How many deliveries arrived."""
        return self._received

    @property
    def outstanding(self) -> int:
        """How many are still to come, those for devices that stay offline included."""
        return len(self._pending)

    def expect(self, message: str, receivers: Iterable[Receiver], *, about: str, began: float) -> None:
        """From now on `message` (its client id) must come to each of `receivers`.

        `began`: when its sending was meant to begin, by `time.perf_counter`: latency counts from there. A
        receiver that is offline gets it when it is back, which is no measure of speed and counted apart.
        """
        with self._changed:
            for receiver in receivers:
                self._pending[receiver.label, message] = _Delivery(
                    receiver=receiver,
                    message=message,
                    about=about,
                    began=began,
                    interrupted=not receiver.online,
                )

    def withdraw(self, message: str) -> None:
        """The message was refused: nobody gets it."""
        with self._changed:
            for key in [key for key in self._pending if key[1] == message]:
                del self._pending[key]
            self._changed.notify_all()

    def interrupted(self, receiver: Receiver) -> None:
        """The receiver went offline: what is under way to it comes late for that reason."""
        with self._changed:
            for (label, _), delivery in self._pending.items():
                if label == receiver.label:
                    delivery.interrupted = True
            self._changed.notify_all()

    def awaits(self, receiver: Receiver) -> bool:
        """Whether anything is under way to the receiver."""
        with self._changed:
            return any(label == receiver.label for label, _ in self._pending)

    def arrived(self, receiver: Receiver, messages: Collection[str], *, at: float, by_event: bool = True) -> None:
        """The receiver holds `messages` at the time `at`, by `time.perf_counter`.

        `by_event`: whether they came as live events; what comes otherwise was caught up with.
        """
        done: list[_Delivery] = []
        with self._changed:
            for message in messages:
                delivery = self._pending.pop((receiver.label, message), None)
                if delivery is not None:
                    delivery.interrupted |= not by_event
                    done.append(delivery)
            self._received += len(done)
            if done:
                self._changed.notify_all()
        for delivery in done:
            name = CATCH_UP if delivery.interrupted else LIVE
            self._observer.delivery(name, max(0.0, (at - delivery.began) * 1000), None)

    def settle(self, within: float = SETTLE_WITHIN) -> None:
        """Wait until everybody online has everything. Raises `LostDelivery`, which names what is missing."""
        deadline = time.monotonic() + within
        while due := self._due():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            # Not under the lock: receivers hold one of their own while they tell what arrived.
            for receiver in {delivery.receiver.label: delivery.receiver for delivery in due}.values():
                receiver.looks()
            self._wait_for_fewer_than(len(due), min(remaining, LOOK_EVERY))
        if not due:
            return
        for delivery in due:
            self._pending.pop((delivery.receiver.label, delivery.message), None)
        now = time.perf_counter()
        for delivery in due:
            self._observer.delivery(LIVE, (now - delivery.began) * 1000, f"lost: {delivery.about}")
        lines = [f"  {one.about} -> {one.receiver.label} (live connection {one.receiver.connection})" for one in due]
        raise LostDelivery(f"{len(due)} lost within {within:g} s:\n" + "\n".join(lines))

    def _wait_for_fewer_than(self, count: int, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._due()) < count, seconds)

    def _due(self) -> list[_Delivery]:
        with self._changed:
            return [delivery for delivery in self._pending.values() if delivery.receiver.online]
