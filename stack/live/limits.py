"""How much one client, one user and all of them together may ask of this process, so that nobody pays for another.

The limits are for floods and faults. A client that waits for its answers meets none of them, however much it has to
ask: where it asks faster than RATE, it is answered at that pace.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn

from stack.live.frames import Close, Hello, ProtocolError, Question, Signal, parse

RATE = 50.0
"""Requests a second of one socket that are answered in the long run; each costs the database about a page view."""
BURST = 200
"""Requests that are answered at once after a quiet time: as many scopes may turn stale in one moment."""
MOST_WAITING = 200
"""Requests of one socket that may wait for their turn; clients have a few out, a flood waits for no answer."""
MOST_PER_USER = 20
"""Sockets of one user: tabs and devices, and those whose network has gone without a word."""


class Allowance:
    """BURST at once and RATE a second; what is not used is saved up to BURST."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due = float("-inf")

    def take(self, now: float) -> float:
        """Count one more; in how many seconds it is its turn."""
        self._due = max(self._due, now - BURST / RATE) + 1 / RATE
        return max(0.0, self._due - now)


class Requests:
    """What one client asks, in order and not faster than it may.

    Args:
        receive: waits for the text of the next frame, None for a binary one.
    """

    __slots__ = ("_allowance", "_receive", "_waiting")

    def __init__(self, receive: Callable[[], Awaitable[str | None]]) -> None:
        self._receive = receive
        self._allowance = Allowance()
        self._waiting: list[Question | Signal] = []

    async def during(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work, and leave it as soon as the client is gone or sends what ends its socket.

        Raises:
            ProtocolError: too many wait, or one is none.
        """
        working, taking_in = (asyncio.create_task(one) for one in (work, self._take_in_all()))
        try:
            done, _ = await asyncio.wait((working, taking_in), return_when=asyncio.FIRST_COMPLETED)
            # It has ended only with an error, which nothing would say a second time.
            await (taking_in if taking_in in done else working)
        finally:
            working.cancel()
            taking_in.cancel()
            await asyncio.gather(working, taking_in, return_exceptions=True)

    async def next(self) -> Question | Signal:
        """The next request, when it is its turn.

        Raises:
            ProtocolError: too many wait, or one is none.
        """
        if not self._waiting:
            self._waiting.append(_asked(await self._receive()))
        request = self._waiting.pop(0)
        now = time.monotonic()
        await self._take_in(now + self._allowance.take(now))
        return request

    async def _take_in(self, until: float) -> None:
        # What is there already, or comes meanwhile, tells a client that waits for its answers from one that does not.
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._take_in_all()

    async def _take_in_all(self) -> NoReturn:
        while len(self._waiting) <= MOST_WAITING:
            self._waiting.append(_asked(await self._receive()))
        raise ProtocolError(Close.TOO_OFTEN, "more requests than can be answered")


def _asked(text: str | None) -> Question | Signal:
    request = parse(text)
    if isinstance(request, Hello):
        raise ProtocolError(Close.MALFORMED, "a second hello")
    return request


class Places:
    """Who is connected to this process.

    Args:
        most: sockets at once, of all users.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: Counter[int | None] = Counter()
        self._by_user: Counter[int | None] = Counter()

    def one(self) -> Place:
        """A place for a socket, whoever it is."""
        return Place(self._all, None, self._most, Close.FULL)

    def one_of(self, user: int) -> Place:
        """One of a user's places."""
        return Place(self._by_user, user, MOST_PER_USER, Close.TOO_MANY)


class Place:
    """Taken as long as its ``with`` block lasts, which raises ProtocolError if there is none.

    A class, as every open socket holds two of them, and a generator would be the larger part of its memory.
    """

    __slots__ = ("_key", "_most", "_refusal", "_taken")

    def __init__(self, taken: Counter[int | None], key: int | None, most: int, refusal: Close) -> None:
        self._taken, self._key, self._most, self._refusal = taken, key, most, refusal

    def __enter__(self) -> None:
        if self._taken[self._key] >= self._most:
            raise ProtocolError(self._refusal, f"{self._most} places are taken")
        self._taken[self._key] += 1

    def __exit__(self, *_: object) -> None:
        self._taken[self._key] -= 1
        if not self._taken[self._key]:
            del self._taken[self._key]
