"""One direction of a connection through a proxy."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from random import Random
from typing import Protocol

from harness.faults.conditions import Conditions, Latency
from harness.faults.counters import Tally

LIMIT = 256 * 1024
"""Bytes that wait here before the source is asked to hold on."""
_TICK = 0.01
"""Seconds' worth of a narrow line that go in one piece."""


class End(Enum):
    """How a source ended."""

    FINISHED = "it sends no more"
    RESET = "its connection broke"


class Place(Protocol):
    """What a pipe has to know of where it lies."""

    conditions: Conditions
    tally: Tally


class Pipe:
    """Hands on what ``source`` sends to the sink: at once, later, or never, as the conditions are.

    ``on_end`` is called when the source's end reaches the sink, ``on_loss`` when something is swallowed. Until
    ``connect`` all is kept. The sink's transport bounds what waits behind it, and LIMIT what waits here.
    """

    def __init__(
        self,
        place: Place,
        *,
        name: str,
        on_end: Callable[[Pipe, End], None],
        on_loss: Callable[[], None],
    ) -> None:
        self._place = place
        self._name = name
        self._on_end = on_end
        self._on_loss = on_loss
        self._loop = asyncio.get_running_loop()
        self._source: asyncio.Transport | None = None
        self._sink: asyncio.Transport | None = None
        self._queue: deque[tuple[float, memoryview | End]] = deque()
        self._queued = 0
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._dice: dict[Latency, Random] = {}
        self._full = False
        self._holding = False
        self._stopped = False

    def read_from(self, source: asyncio.Transport) -> None:
        """The transport that ``take`` is fed by, to be paused when too much waits."""
        self._source = source

    def connect(self, sink: asyncio.Transport) -> None:
        """The transport to write to."""
        self._sink = sink
        self._pump()

    def take(self, data: bytes) -> None:
        """What the source has sent."""
        place = self._place
        if place.conditions.half_open:
            place.tally.dropped_bytes += len(data)
            self._on_loss()
        elif self._sink is not None and place.conditions.plain and not self._queue and not self._full:
            if not self._stopped:
                place.tally.passed_bytes += len(data)
                self._sink.write(data)
        else:
            self._put(memoryview(data))

    def take_end(self, end: End) -> None:
        """The source has ended."""
        if self._place.conditions.half_open:
            self._on_loss()
        else:
            self._put(end)

    def sink_is_full(self, full: bool) -> None:
        """Whether the sink's transport holds as much as it wants to."""
        self._full = full
        if self._queue and not full:
            # Not at once: the transport that says so cannot bear to be closed while it does.
            self._loop.call_soon(self._pump)
        else:
            self._regulate()

    def settle(self) -> None:
        """The conditions have changed: what waits, waits no longer than they want from now on."""
        most = self._loop.time() + self._place.conditions.longest
        self._queue = deque((min(due, most), payload) for due, payload in self._queue)
        if self._place.conditions.rate is None:
            self._free_at = 0.0
        self._pump()

    def swallow(self) -> None:
        """Lose what waits here."""
        if self._queue:
            self._place.tally.dropped_bytes += self._queued
            self._forget()
            self._on_loss()
        self._regulate()

    def stop(self) -> None:
        """The sink is gone: whatever comes, nobody will have it."""
        self._stopped = True
        self._forget()
        self._regulate()

    def _forget(self) -> None:
        self._queue.clear()
        self._queued = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _put(self, payload: memoryview | End) -> None:
        if self._stopped:
            return
        conditions = self._place.conditions
        wait = 0.0
        for latency in conditions.latencies:
            wait += latency.seconds + self._dice_of(latency).uniform(-latency.jitter, latency.jitter)
        if isinstance(payload, End):
            wait += conditions.close_later
            held = wait > 0
        else:
            self._queued += len(payload)
            held = not conditions.plain
        if held:
            self._place.tally.delayed += 1
        # In a queue nothing overtakes what came before it, also if that is due later.
        self._queue.append((self._loop.time() + wait, payload))
        self._pump()

    def _dice_of(self, latency: Latency) -> Random:
        dice = self._dice.get(latency)
        if dice is None:
            dice = self._dice[latency] = Random(f"{latency.seed} {self._name}")  # noqa: S311 - chance, not secrecy
        return dice

    def _pump(self) -> None:
        """Hand on whatever is due and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rate = self._place.conditions.rate
        now = self._loop.time()
        while self._queue and self._sink is not None and not self._full:
            due, payload = self._queue[0]
            piece = payload
            if rate is not None and isinstance(payload, memoryview):
                piece = payload[: max(1, int(rate * _TICK))]
                due = max(due, self._free_at) + len(piece) / rate
            if due > now:
                self._timer = self._loop.call_at(due, self._pump)
                break
            if isinstance(piece, End):
                self._queue.popleft()
                self._on_end(self, piece)
                continue
            assert isinstance(payload, memoryview)
            if len(piece) < len(payload):
                self._queue[0] = (self._queue[0][0], payload[len(piece) :])
            else:
                self._queue.popleft()
            self._queued -= len(piece)
            # A line that stood idle has saved nothing up.
            self._free_at = max(due, now - _TICK)
            self._place.tally.passed_bytes += len(piece)
            self._sink.write(piece)
        self._regulate()

    def _regulate(self) -> None:
        """Let the source go on, or not."""
        if self._source is None:
            return
        swallowing = self._stopped or self._place.conditions.half_open
        hold = not swallowing and (self._full or self._queued > LIMIT)
        if hold is not self._holding:
            self._holding = hold
            if hold:
                self._source.pause_reading()
            else:
                self._source.resume_reading()
