"""The relay: the one process that turns changes into events. A standby waits for the lead.

Leadership only saves work: appending, deleting and moving the head are one transaction, so two relays at once are
harmless. A leader whose database session is idle while its heartbeat is old is frozen: the standby ends that session
and takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import redis.asyncio
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.utils import DatabaseError, InterfaceError, OperationalError

from stack.live import batch as batches
from stack.live import hints, log, memberships, outbox
from stack.live.background import go_on
from stack.live.db import Threads, is_serialization_failure, is_undefined_table, urgent
from stack.live.registry import registry
from stack.live.retention import Retention

logger = logging.getLogger(__name__)

GROUP = "live"
MOST_MESSAGE_BYTES = 512 * 1024

_LOCK = 0x4C495645
_FAST, _SLOW, _FAST_FOR = 0.005, 0.1, 1.0
_HEARTBEAT, _FROZEN_AFTER, _STANDBY_POLL = 0.5, 1.4, 0.2
_END_WITHIN_MS = 300
_GIVE_UP_WITHIN = 1.0
_PATIENCE, _MOST_PATIENCE = 1.0, 30.0
_ANSWERED_WITHIN = 10.0
"""For statements that are answered at once or never; a batch may take long where there is much to do."""
_SEND_WITHIN, _QUIET_AFTER_FAILURE = 1.0, 1.0
_RETRY = 0.2


class State(enum.Enum):
    """Whether this relay does the work or waits for the one that does."""

    STANDBY = "standby"
    LEADING = "leading"


def schema_hash() -> str:
    """What is registered, as one hash: other code means other data, so cursors of before no longer hold."""
    parts = [
        f"{e.name} {e.scope.text} {e.window} {e.order} {','.join(e.data_fields)} {','.join(e.synced_columns)}"
        for e in registry.entities.values()
    ]
    parts += [f"{m.key} {m.sql()}" for m in registry.memberships.values()]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _answered_soon() -> Iterator[CursorWrapper]:
    with connection.cursor() as cursor, connection.connection.answering_within(_ANSWERED_WITHIN):
        yield cursor


def _give_up_connection() -> None:
    """Let the session go with its lock: one that lives on in a pool would keep everybody from the lead."""
    try:
        with _answered_soon() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_all()")
    except (DatabaseError, InterfaceError):
        logger.debug("relay: the session was gone already")
    connection.close()


def _take_lock(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
    return bool(cursor.fetchone()[0])


def _end_frozen_leader(cursor: CursorWrapper) -> bool:
    """End the database session of a leader whose heartbeat is old, and wait a moment until it is gone."""
    cursor.execute(
        """
        SELECT pg_terminate_backend(a.pid, %s) FROM live_leader l
        JOIN pg_stat_activity a ON a.pid = l.pid AND a.backend_start = l.started
        WHERE l.at < clock_timestamp() - make_interval(secs => %s)
          -- A frozen process is active for Postgres while it does not take its answer.
          AND (a.state <> 'active' OR a.wait_event = 'ClientWrite')
        """,
        [_END_WITHIN_MS, _FROZEN_AFTER],
    )
    if not cursor.fetchall():
        return False
    logger.warning("relay: the leader is frozen, its database session was ended")
    return True


def _heartbeat(session: tuple[int, datetime]) -> None:
    with _answered_soon() as cursor:
        # Another one may have led beside this one, and be gone.
        cursor.execute(
            """
            UPDATE live_leader l SET (pid, started, at) = ROW (%s, %s, clock_timestamp())
            WHERE (pid, started) = (%s, %s) OR NOT EXISTS (
                SELECT FROM pg_stat_activity a WHERE a.pid = l.pid AND a.backend_start = l.started)
            """,
            [*session, *session],
        )


class Relay:
    """Runs until cancelled, through every loss of Postgres or Redis.

    Args:
        on_state: told each state that the relay takes, for readiness and logs.
    """

    def __init__(self, *, on_state: Callable[[State], None] = lambda _state: None) -> None:
        self._on_state = on_state
        self._state = State.STANDBY
        self._announced = False
        self._hint = asyncio.Event()
        self._quiet = asyncio.Event()
        self._retention = Retention(
            keep=settings.LIVE_RETENTION, leads=lambda: self._state is State.LEADING, quiet=self._quiet
        )
        # One thread, so that the lock and the batches share one database session.
        self._thread = Threads("relay", count=1, release=False)
        self._session: tuple[int, datetime] | None = None
        self._patience = _PATIENCE
        self._told: str | None = None
        self._quiet_until = 0.0
        self._reads: dict[str, frozenset[str]] = {}
        self._last: log.Position | None = None
        self._last_change = 0.0

    async def run(self) -> None:
        others = [go_on(work) for work in (self._listen, self._beat, self._retention.run)]
        try:
            while True:
                began = time.monotonic()
                try:
                    await self._step()
                    self._told = None
                except (DatabaseError, InterfaceError) as error:
                    if not is_serialization_failure(error):
                        await self._lost_database(error, after=time.monotonic() - began)
                except Exception:
                    # Ending would change nothing: the next relay would meet the same rows.
                    logger.exception("relay: a batch failed and is tried again")
                    await asyncio.sleep(_RETRY)
        finally:
            for task in others:
                task.cancel()
            # Whoever stands by need not find out that the lead is free.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GIVE_UP_WITHIN):
                    await self._thread.run(_give_up_connection)

    async def _step(self) -> None:
        if self._state is State.STANDBY:
            if not await self._thread.run(self._try_to_lead):
                self._enter(State.STANDBY)
                await asyncio.sleep(_STANDBY_POLL)
                return
            batch = await self._thread.run(self._take_the_lead)
            took_lead = True
            self._enter(State.LEADING)
        else:
            batch = await self._thread.run(self._work)
            took_lead = False
        if batch is None:
            await self._wait()
            return
        self._last_change = time.monotonic()
        news = self._last is None or (self._last.epoch, self._last.seq) != (batch.head.epoch, batch.head.seq)
        self._last = batch.head
        self._patience = _PATIENCE
        # A lead may begin another life of the log, which hubs would else learn from their next poll.
        if news or took_lead:
            await self._send(batch)

    def _enter(self, state: State) -> None:
        if state is not self._state or not self._announced:
            logger.info("relay: %s", state.value)
            self._announced = True
            self._state = state
            self._on_state(state)

    async def _lost_database(self, error: Exception, *, after: float) -> None:
        reason = str(error).strip().partition("\n")[0]
        if reason != self._told:
            # Once, however often it is tried.
            self._told = reason
            if isinstance(error, (OperationalError, InterfaceError)):
                logger.warning("relay: database lost, trying again: %s", reason)
            elif is_undefined_table(error):
                logger.warning("relay: waiting for the migrations: %s", reason)
            else:
                logger.error("relay: the database refused a batch, trying again", exc_info=error)
        self._enter(State.STANDBY)
        self._session = None
        if after > self._patience:
            # The batch itself may have taken too long on a busy machine; the same limit would end it for ever.
            self._patience = min(self._patience * 2, _MOST_PATIENCE)
        await self._thread.run(_give_up_connection)
        await asyncio.sleep(_RETRY)

    async def _wait(self) -> None:
        fast = time.monotonic() - self._last_change < _FAST_FOR
        self._quiet.set()
        try:
            await asyncio.wait_for(self._hint.wait(), _FAST if fast else _SLOW)
        except TimeoutError:
            pass
        else:
            self._hint.clear()
        finally:
            self._quiet.clear()

    async def _listen(self) -> None:
        """Hints; without Redis the poll alone finds the changes."""
        client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_keepalive=True, health_check_interval=10)
        while True:
            try:
                async with client.pubsub() as subscription:
                    await subscription.subscribe(hints.CHANNEL)
                    async for message in subscription.listen():
                        if message["type"] == "message":
                            self._hint.set()
            except (redis.RedisError, OSError) as error:
                logger.info("relay: no hints, Redis is away: %s", error)
                await asyncio.sleep(_RETRY)

    async def _send(self, batch: batches.Batch) -> None:
        """One message for all hubs; a lost one is found by their polls."""
        if time.monotonic() < self._quiet_until:
            return
        events: list[list[Any]] = []
        if sum(len(e.ops.encode()) for e in batch.entries) <= MOST_MESSAGE_BYTES:
            events = [[e.seq, e.scope, e.prev, e.ops, e.control] for e in batch.entries]
        layer = get_channel_layer()
        assert layer is not None
        try:
            # A Redis that hangs must not hold up the log.
            async with asyncio.timeout(_SEND_WITHIN):
                await layer.group_send(
                    GROUP,
                    {"type": "live.batch", "epoch": batch.head.epoch, "seq": batch.head.seq, "events": events},
                )
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._quiet_until = time.monotonic() + _QUIET_AFTER_FAILURE
            logger.warning("relay: batch up to %s not sent, hubs will find it: %s", batch.head.seq, error)

    async def _beat(self) -> None:
        """Beside the batches, so that a long one does not look frozen."""
        while True:
            await asyncio.sleep(_HEARTBEAT)
            if self._session is None:
                continue
            try:
                await urgent.run(_heartbeat, self._session)
            except (DatabaseError, InterfaceError) as error:
                logger.info("relay: no heartbeat: %s", str(error).partition("\n")[0])

    def _try_to_lead(self) -> bool:
        with _answered_soon() as cursor:
            return _take_lock(cursor) or (_end_frozen_leader(cursor) and _take_lock(cursor))

    def _take_the_lead(self) -> batches.Batch | None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false)",
                [f"{self._patience * 1000:.0f}ms"],
            )
            # A crash that takes events back, and not the epoch, would let their numbers mean something else.
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            cursor.execute(
                """
                INSERT INTO live_leader (id, pid, started, at)
                SELECT 1, pid, backend_start, clock_timestamp() FROM pg_stat_activity WHERE pid = pg_backend_pid()
                ON CONFLICT (id) DO UPDATE SET pid = excluded.pid, started = excluded.started, at = excluded.at
                RETURNING pid, started
                """
            )
            self._session = cursor.fetchone()
            self._reads = memberships.tables_read(cursor)
        return batches.run_batch(self._reads, last=self._last, schema_hash=schema_hash())

    def _work(self) -> batches.Batch | None:
        with _answered_soon() as cursor:
            if not outbox.pending(cursor, self._last):
                return None
        return batches.run_batch(self._reads, last=self._last)
