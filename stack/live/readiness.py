"""Whether every change is caught, cheap enough to be asked by every health check."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from django.db import connection

from stack.live import installing, triggers
from stack.live.registry import registry
from stack.live.triggers import Trigger

REMEMBERED = 3.0
"""Seconds in which an answer holds."""


class Readiness:
    """Compares the database's triggers with what this code wants.

    A process whose triggers were in step once stays ready when another version of the code installs its own: a deploy
    must not take the processes away that serve until the new ones do.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: list[Trigger] | None = None
        self._was_in_step = False
        self._until = 0.0
        self._told: str | None = None

    def trouble(self) -> str | None:
        """What would be missed, in words, or None; remembered for some seconds.

        Raises:
            DatabaseError: Postgres is away, or refuses.
        """
        with self._lock:
            if self._clock() >= self._until:
                self._told = self._look()
                self._until = self._clock() + REMEMBERED
            return self._told

    def _look(self) -> str | None:
        for entity in registry.entities.values():
            for problem in entity.problems():
                return f"{problem}: see manage.py check"
        with connection.cursor() as cursor:
            if self._wanted is None:
                self._wanted = triggers.wanted(cursor)
            present = installing.read_installed(cursor)
        found = installing.compare(self._wanted, present)
        if not found:
            self._was_in_step = True
        elif not (self._was_in_step and present.whole):
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            return f"{found[0]}{more}: run manage.py live install"
        return None


readiness = Readiness()
"""Of this process."""
