"""Transactions and threads in which the live engine meets the database."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from django.db import connection, connections, transaction
from django.db.backends.utils import CursorWrapper

P = ParamSpec("P")
R = TypeVar("R")

_SERIALIZATION_FAILURE = ("40001", "40P01")

# Django's own helper keeps all work outside its request handler on one thread: a slow snapshot would delay sign-ins.
_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="live-db")


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


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run database work beside the event loop; its connection goes back to the pool afterwards."""

    def work() -> R:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_threads, functools.partial(work))
