"""Transactions and threads in which the live engine meets the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from django.db import connection, connections, reset_queries, transaction
from django.db.backends.utils import CursorWrapper

P = ParamSpec("P")
R = TypeVar("R")

_SERIALIZATION_FAILURE = ("40001", "40P01")
_UNDEFINED_TABLE = "42P01"


class Threads:
    """Threads for database work beside an event loop.

    Django's own helper keeps everything outside its request handler on one thread for the whole process. Queries that
    Django notes for debugging are forgotten after each piece of work: no request would ever end to do it.

    Args:
        release: give the connection back to the pool after each piece of work.
    """

    def __init__(self, name: str, *, count: int, release: bool = True) -> None:
        self._release = release
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it on one of the threads."""

        def whole() -> R:
            try:
                return work(*args, **kwargs)
            finally:
                reset_queries()
                if self._release:
                    connections.close_all()

        return await asyncio.get_running_loop().run_in_executor(self._pool, whole)


readers = Threads("live-read", count=4)
"""For what clients ask; it may take long and be much."""

urgent = Threads("live-urgent", count=2)
"""For what everybody waits for: following the log, handshakes, heartbeats."""


@contextmanager
def repeatable_read(*, read_only: bool = False) -> Iterator[CursorWrapper]:
    """One transaction that sees one state of the database.

    Raises:
        RuntimeError: a transaction is open already, so its isolation can no longer be chosen.
    """
    if connection.in_atomic_block:
        raise RuntimeError("a live snapshot needs a transaction of its own: don't call it inside transaction.atomic()")
    with transaction.atomic(), connection.cursor() as cursor:
        mode = ", READ ONLY" if read_only else ""
        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ{mode}")
        yield cursor


def is_serialization_failure(error: Exception) -> bool:
    """Whether another relay was first, so that the batch has to start again."""
    return getattr(error.__cause__, "sqlstate", None) in _SERIALIZATION_FAILURE


def is_undefined_table(error: Exception) -> bool:
    """Whether a table is missing, as where the migrations are not applied yet."""
    return getattr(error.__cause__, "sqlstate", None) == _UNDEFINED_TABLE
