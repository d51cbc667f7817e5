"""A circuit breaker: a renderer that fails is left alone for a while, and then tried with one request."""

from __future__ import annotations

import logging
from collections import deque
from enum import StrEnum

logger = logging.getLogger(__name__)

FAILURES = 3
WITHIN = 10.0
SHORTEST = 1.0
LONGEST = 10.0


class State(StrEnum):
    """Whether requests get through: all, none, or one to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Opens after three failures in a row within 10 s; a success in between proves that the renderer works.

    Where a page may be at fault itself, its viewer's failures count as one: nobody closes the renderer to all others
    with what they write. Tried again after 1 s, then after twice as long each time, at most 10 s. Times are seconds of
    a monotonic clock.

    Args:
        name: of what it protects, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # When, and whose page it was where that may be at fault.
        self._failures: deque[tuple[float, int | None]] = deque(maxlen=FAILURES)
        self._until: float | None = None
        self._pause = SHORTEST
        self._trying = False

    @property
    def state(self) -> State:
        if self._until is None:
            return State.CLOSED
        return State.HALF_OPEN if self._trying else State.OPEN

    def admits(self, now: float) -> bool:
        """Whether a request may begin."""
        return self._until is None or (now >= self._until and not self._trying)

    def begin(self) -> bool:
        """A request begins that was admitted; returns whether it is the one that tries."""
        self._trying = self._until is not None
        return self._trying

    def succeed(self, *, trying: bool) -> None:
        """A request succeeded."""
        if self._until is None:
            self._failures.clear()
        elif trying:
            logger.warning("The renderer %s answers again.", self._name)
            self._failures.clear()
            self._until, self._pause, self._trying = None, SHORTEST, False

    def fail(self, now: float, reason: str, *, trying: bool, viewer: int | None = None) -> None:
        """A request failed. Those that began before the breaker opened have no say in it any more.

        Args:
            viewer: whose page it was, where the page may be at fault and not the renderer.
        """
        if trying and viewer is not None:
            # Somebody else's page will tell.
            self.give_up(trying=True)
        elif trying:
            self._pause = min(self._pause * 2, LONGEST)
            self._until, self._trying = now + self._pause, False
        elif self._until is None:
            if viewer is not None:
                others = [failure for failure in self._failures if failure[1] != viewer]
                self._failures = deque(others, maxlen=FAILURES)
            self._failures.append((now, viewer))
            if len(self._failures) == FAILURES and now - self._failures[0][0] <= WITHIN:
                logger.warning("The renderer %s is left alone after %d failures: %s.", self._name, FAILURES, reason)
                self._until = now + self._pause

    def give_up(self, *, trying: bool) -> None:
        """A request ended without a result, because nobody waits for it any more."""
        if trying:
            self._trying = False
