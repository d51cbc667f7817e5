"""The open model: changes have their times before the first is published, whatever becomes of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Published:
    """A change: when it was due, when publishing it began, when it was published; in seconds of the shared clock.

    What is published by a transaction is so when its COMMIT has returned.
    """

    number: int
    due: float
    began: float
    at: float

    def latency(self, received: float) -> float:
        """Seconds until a receipt. Having begun late counts: who waits for a change knows when it was due."""
        return received - self.at + max(0.0, self.began - self.due)


async def slots(*, begin: float, period: float, count: int) -> AsyncIterator[float]:
    """The times at which something is due, each given when it has come, or at once where it has passed."""
    for place in range(count):
        due = begin + place * period
        if (left := due - time.monotonic()) > 0:
            await asyncio.sleep(left)
        yield due


def missed(published: list[Published], *, period: float) -> int:
    """How many began so late that the next one was due."""
    return sum(one.began - one.due >= period for one in published)
