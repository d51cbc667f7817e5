"""Forgetting old events: the leading relay deletes them, oldest first, beside its batches.

Where each scope stood last (``live_scope``) stays, so that ``prev`` is true however old it is. A cursor behind the
oldest event that is left gets a snapshot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from django.db import connection
from django.db.utils import DatabaseError, InterfaceError

from stack.live.db import Threads

logger = logging.getLogger(__name__)

CHUNK = 1000
"""Events that one statement deletes; as many of the largest kind take a fraction of a second."""

_LONGEST_PAUSE, _PAUSES_PER_KEEPING = 60.0, 10
_BREATH = 0.02
_PATIENCE = 5.0


def delete_chunk(keep: float) -> int:
    """Delete some of the events that are older than ``keep`` seconds, by the database's clock.

    It is one statement and no transaction around it: whoever is frozen here holds no lock. The events that stay follow
    each other without a gap, whatever the clock did when they were written.

    Returns:
        How many were deleted; `CHUNK` if there may be more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH oldest AS MATERIALIZED (SELECT seq, at FROM live_event ORDER BY seq LIMIT %s),
            kept AS (SELECT min(seq) AS seq FROM oldest WHERE at >= statement_timestamp() - make_interval(secs => %s))
            DELETE FROM live_event e USING oldest o, kept
            WHERE e.seq = o.seq AND (kept.seq IS NULL OR o.seq < kept.seq)
            """,
            [CHUNK, keep],
        )
        return int(cursor.rowcount)


class Retention:
    """Deletes while this relay leads.

    Args:
        keep: for how many seconds events are kept.
        leads: whether this relay leads.
        quiet: set while no batch is in work.
    """

    def __init__(self, *, keep: float, leads: Callable[[], bool], quiet: asyncio.Event) -> None:
        self._keep = keep
        self._leads = leads
        self._quiet = quiet
        self._pause = min(_LONGEST_PAUSE, keep / _PAUSES_PER_KEEPING)
        # A thread and a database session of its own: a deletion that waits or hangs holds up no batch.
        self._thread = Threads("relay-retention", count=1)

    async def run(self) -> None:
        """Look for old events again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._pause)
            try:
                deleted = await self._delete()
            except (DatabaseError, InterfaceError) as error:
                logger.info("relay: old events stay for now: %s", str(error).partition("\n")[0])
            else:
                if deleted:
                    logger.info("relay: %s old events deleted", deleted)

    async def _delete(self) -> int:
        total = 0
        while self._leads():
            await self._until_quiet()
            deleted = await self._thread.run(delete_chunk, self._keep)
            total += deleted
            if deleted < CHUNK:
                break
            await asyncio.sleep(_BREATH)
        return total

    async def _until_quiet(self) -> None:
        """A batch that waits goes first. Without any pause between batches the log must not grow for ever, though."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._quiet.wait()
        except TimeoutError:
            logger.debug("relay: no moment without a batch, old events are deleted beside them")
