"""A connection that does not wait for ever.

The kernel finds a server whose machine has gone. It does not find one that is stopped, or out of reach behind a proxy
that still takes what is sent: only whoever waits for the answer can tell.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.abc import PQGen

T = TypeVar("T")


class Silent(psycopg.OperationalError):
    """The server has not answered in time."""


class Connection(psycopg.Connection[Any]):
    """Psycopg's, which gives a statement up that is not answered in time, and itself with it.

    Attributes:
        patience: seconds that a statement may take; None for any number, as where migrations run.
    """

    patience: ClassVar[float | None] = None
    _within: float | None = None

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """
        Raises:
            Silent: there was no answer in time.
        """
        if timeout is None:
            timeout = self._within or self.patience
        began = time.monotonic()
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError as error:
            if timeout is None or time.monotonic() - began < timeout:
                raise
            # What it may still answer is not for the next one to hear.
            self.pgconn.finish()
            raise Silent(f"the database has not answered within {timeout:g} s") from error

    @contextmanager
    def answering_within(self, seconds: float) -> Iterator[None]:
        """Wait so long for the statements of the block."""
        self._within = seconds
        try:
            yield
        finally:
            self._within = None

    @classmethod
    @contextmanager
    def giving_up_after(cls, seconds: float) -> Iterator[None]:
        """Be that patient with every statement of this process for the length of the block."""
        before, cls.patience = cls.patience, seconds
        try:
            yield
        finally:
            cls.patience = before
