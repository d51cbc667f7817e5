"""The log taken away for a while, so that batches can be published that no transaction wrote.

A hub that finds no head in the database goes on from what it knows. What was published meanwhile is written behind the
old head when the log comes back, as a relay would have left it.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks.live.wire import MARK


@dataclass(kw_only=True)
class Log:
    """Where the log stands, and what an event of the measured scope looks like."""

    epoch: str
    seq: int
    scope: str
    prev: int
    ops: str

    @property
    def order(self) -> dict[str, Any]:
        """For the publisher."""
        return vars(self).copy()

    def published(self, count: int) -> None:
        """So many events of the scope were published, and nothing else."""
        self.seq += count
        self.prev = self.seq if count else self.prev


@contextmanager
def apart(database: str, *, epoch: str, scope: str) -> Generator[Log]:
    """The log as it was when it was taken away, to be kept in step with what is published.

    Args:
        epoch: the log's, as clients were told.
        scope: of the event that is the pattern: the newest one with a change that is measured.
    """
    with psycopg.connect(database) as connection:
        pattern, prev, ops = _found(
            connection.execute(
                "SELECT e.seq, s.seq, e.ops FROM live_event e JOIN live_scope s USING (scope)"
                " WHERE e.scope = %s AND e.ops ~ %s ORDER BY e.seq DESC LIMIT 1",
                (scope, MARK.pattern),
            ).fetchone()
        )
        (head,) = _found(connection.execute("DELETE FROM live_head RETURNING to_jsonb(live_head)::text").fetchone())
        (seq,) = _found(connection.execute("SELECT %s::jsonb->>'seq'", (head,)).fetchone())
        before = int(seq)
        connection.commit()
        log = Log(epoch=epoch, seq=before, scope=scope, prev=prev, ops=ops)
        try:
            yield log
        finally:
            connection.execute(
                "INSERT INTO live_event SELECT (jsonb_populate_record(e, jsonb_build_object("
                "'seq', n, 'prev', CASE n WHEN %(first)s THEN %(prev)s ELSE n - 1 END))).*"
                " FROM live_event e, generate_series(%(first)s::bigint, %(last)s::bigint) n WHERE e.seq = %(pattern)s",
                {"first": before + 1, "last": log.seq, "prev": prev, "pattern": pattern},
            )
            connection.execute("UPDATE live_scope SET seq = %s WHERE scope = %s", (log.prev, scope))
            connection.execute(
                "INSERT INTO live_head SELECT * FROM jsonb_populate_record("
                "NULL::live_head, %s::jsonb || jsonb_build_object('seq', %s::bigint))",
                (head, log.seq),
            )
            connection.commit()


def _found(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    assert row is not None, "a change was made and relayed before"
    return row
