"""Faults of Postgres and Redis that they bring about themselves when they are asked to.

All of them end with the connections of this process: a harness that is killed leaves none behind for longer than
seconds. They go to the servers directly, past any proxy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, cast

import psycopg
import redis

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.stack import RunningStack

Figures = Callable[[], Mapping[str, float]]

NOT_BREAKABLE = "Start it with: harness up --faults"

_TURN_MS, _RENEW = 5000, 1.0
# The stack's lossy channel layer goes by what it has read within this time.
_ASKED_EVERY = 0.3
# As it reads and writes them.
_RATES, _COUNTS = "stack:lossy", "stack:lossy:counts"
_HARMS = {b"drop": "dropped", b"duplicate": "duplicated", b"reorder": "reordered"}
_PROBE = 0.3
_RETRY = 0.05
_CONNECT_WITHIN = 10


@contextmanager
def paused(stack: RunningStack, name: str) -> Generator[Figures]:
    """Redis takes whatever is written or published and answers none of it until the end (CLIENT PAUSE WRITE).

    Reads go on: a pause of everything would hold up its own renewal and its own end as well. Figures: ``paused``
    seconds. Raises HarnessError if the server does not pause.
    """
    url = stack.direct["REDIS_URL"]
    began, ended = time.monotonic(), threading.Event()
    with _redis(url) as client:

        def pause() -> None:
            # In turns, as nobody ends it for a harness that was killed.
            client.execute_command("CLIENT", "PAUSE", _TURN_MS, "WRITE")

        def go_on() -> None:
            while not ended.wait(_RENEW):
                with suppress(redis.RedisError):
                    pause()

        pause()
        thread = threading.Thread(target=go_on, name="pausing redis", daemon=True)
        thread.start()
        try:
            if _answers(url):
                raise HarnessError(f"{name} was asked to pause and goes on answering.")
            yield lambda: {"paused": round(time.monotonic() - began, 3)}
        finally:
            ended.set()
            thread.join()
            # A Redis that was killed meanwhile has forgotten it.
            with suppress(redis.RedisError):
                client.execute_command("CLIENT", "UNPAUSE")


@contextmanager
def idle_transaction(stack: RunningStack, name: str) -> Generator[Figures]:
    """A transaction with a snapshot and an id of its own stays open in the application's database.

    Figures: ``held`` seconds and ``kept_back`` transactions begun since whose rows cannot be cleaned up.
    """
    with _connect(stack.direct["DATABASE_URL"], name) as watching, _connect(stack.direct["DATABASE_URL"], name) as idle:
        idle.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        own = _number(idle, "SELECT pg_current_xact_id()::text::bigint")
        began, newest = time.monotonic(), own

        def figures() -> Mapping[str, float]:
            nonlocal newest
            # A server that was killed meanwhile has told what there was to tell.
            with suppress(psycopg.Error):
                newest = _number(watching, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            return {"held": round(time.monotonic() - began, 3), "kept_back": newest - own}

        try:
            yield figures
        finally:
            # A server that was killed meanwhile has ended it already.
            with suppress(psycopg.Error):
                idle.execute("ROLLBACK")


@contextmanager
def exhausted(stack: RunningStack, name: str) -> Generator[Figures]:
    """Every connection that Postgres has to give is taken, also those that others give back meanwhile.

    Figures: ``taken`` connections and how often one was ``refused`` to this very taker.
    """
    url = stack.direct["DATABASE_URL"]
    taken: list[psycopg.Connection[object]] = []
    refused, ended, full = 0, threading.Event(), threading.Event()

    def take() -> None:
        nonlocal refused
        while not ended.is_set():
            try:
                taken.append(psycopg.connect(url, connect_timeout=_CONNECT_WITHIN, autocommit=True))
            except psycopg.OperationalError:
                refused += 1
                full.set()
                ended.wait(_RETRY)

    def give_back() -> None:
        for connection in taken:
            connection.close()

    with ExitStack() as undone:
        undone.callback(give_back)
        thread = threading.Thread(target=take, name="taking connections", daemon=True)
        thread.start()
        undone.callback(thread.join)
        undone.callback(ended.set)
        if not full.wait(_CONNECT_WITHIN * 3):
            raise HarnessError(f"{name} still has connections to give after {len(taken)} of them.")
        yield lambda: {"taken": len(taken), "refused": refused}


@contextmanager
def lossy(
    stack: RunningStack, name: str, *, drop: float = 0.05, duplicate: float = 0.05, reorder: float = 0.05
) -> Generator[Figures]:
    """The channel layer loses, repeats and reorders batches for each server process: shares from 0 to 1.

    Figures: how many it has ``dropped``, ``duplicated`` and ``reordered``. Raises HarnessError for a stack whose layer
    is not made for it.
    """
    rates = {"drop": drop, "duplicate": duplicate, "reorder": reorder}
    if min(rates.values()) < 0 or sum(rates.values()) > 1:
        raise HarnessError(f"{name} cannot lose such shares: {rates}.", hint="Each is 0 or more, all at most 1.")
    if not stack.environment.get("LIVE_LOSSY"):
        raise HarnessError("The channel layer of this stack is not made to lose anything.", hint=NOT_BREAKABLE)
    with _redis(stack.direct["REDIS_URL"]) as client, ExitStack() as undone:
        before, ended = _lost(client), threading.Event()

        def lose() -> None:
            client.hset(_RATES, mapping=dict(rates))
            # Nobody ends it for a harness that was killed.
            client.pexpire(_RATES, _TURN_MS)

        def go_on() -> None:
            while not ended.wait(_RENEW):
                # A Redis that was killed meanwhile has forgotten it.
                with suppress(redis.RedisError):
                    lose()

        def stop() -> None:
            with suppress(redis.RedisError):
                client.delete(_RATES)
            # Until every layer has asked again.
            time.sleep(_ASKED_EVERY)

        lose()
        undone.callback(stop)
        thread = threading.Thread(target=go_on, name="losing batches", daemon=True)
        thread.start()
        undone.callback(thread.join)
        undone.callback(ended.set)
        yield lambda: {did: now - before[did] for did, now in _lost(client).items()}


def _lost(client: redis.Redis) -> dict[str, int]:
    counted = cast("dict[bytes, bytes]", client.hgetall(_COUNTS))
    return {did: int(counted.get(harm, 0)) for harm, did in _HARMS.items()}


def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=_CONNECT_WITHIN)


def _answers(url: str) -> bool:
    # Without retries, which would outwait any pause.
    no_retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    with redis.Redis.from_url(url, socket_timeout=_PROBE, retry=no_retry) as probe:
        try:
            probe.publish("harness:paused", "")
        except redis.TimeoutError:
            return False
    return True


def _connect(url: str, name: str) -> psycopg.Connection[tuple[object, ...]]:
    try:
        return psycopg.connect(url, connect_timeout=_CONNECT_WITHIN, autocommit=True)
    except psycopg.OperationalError as error:
        reason = str(error).strip().partition("\n")[0]
        raise HarnessError(f"{name} gives no connection to break it with: {reason}.") from error


def _number(connection: psycopg.Connection[tuple[object, ...]], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(str(row[0]))
