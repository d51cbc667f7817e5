"""What arrived: when, how often, in which order."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Changes that did not arrive, arrived more than once, or after a later one; of all sockets together."""

    lost: int = 0
    duplicate: int = 0
    out_of_order: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            lost=self.lost + other.lost,
            duplicate=self.duplicate + other.duplicate,
            out_of_order=self.out_of_order + other.out_of_order,
        )


class Tally:
    """Counts the receipts of numbered changes, each of which is for every socket.

    Attributes:
        newest: the number of the newest change that was published.
    """

    def __init__(self) -> None:
        self.newest = 0
        self._last: list[int] = []
        self._missing: dict[int, set[int]] = {}
        self._times: dict[int, array[float]] = {}
        self._whole: dict[int, asyncio.Event] = {}
        self._duplicate = self._out_of_order = 0

    def add(self) -> int:
        """A socket that gets every change from now on; its place."""
        self._last.append(self.newest)
        return len(self._last) - 1

    def next(self) -> int:
        """The number of a change that is about to be published."""
        self.newest += 1
        self._times[self.newest] = array("d")
        self._whole[self.newest] = asyncio.Event()
        return self.newest

    def received(self, place: int, number: int) -> None:
        """A socket was told of a change, now."""
        last = self._last[place]
        if number == last + 1:
            self._last[place] = number
        elif number > last:
            self._missing.setdefault(place, set()).update(range(last + 1, number))
            self._last[place] = number
        elif number in self._missing.get(place, ()):
            self._missing[place].discard(number)
            self._out_of_order += 1
        else:
            self._duplicate += 1
            return
        times = self._times[number]
        times.append(time.monotonic())
        if len(times) == len(self._last):
            self._whole[number].set()

    def times(self, number: int) -> Sequence[float]:
        """When the sockets were told of a change, by the clock that all processes share, in seconds; in order."""
        return self._times[number]

    async def whole(self, number: int, *, within: float) -> bool:
        """Wait until every socket was told of a change; whether all of them were in so many seconds."""
        try:
            async with asyncio.timeout(within):
                await self._whole[number].wait()
        except TimeoutError:
            return False
        return True

    @property
    def counts(self) -> Counts:
        """Of all that was published, which everybody had time to get."""
        behind = sum(self.newest - last for last in self._last)
        return Counts(
            lost=behind + sum(map(len, self._missing.values())),
            duplicate=self._duplicate,
            out_of_order=self._out_of_order,
        )
