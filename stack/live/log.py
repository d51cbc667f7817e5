"""The event log: where it stands, and appending to it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.db.backends.utils import CursorWrapper

Op: TypeAlias = dict[str, Any]

# Nothing of this can be equal after a restore, a template clone or a fail-over, so an old cursor never looks valid.
EPOCH = """
    left(encode(sha256(convert_to(concat_ws('/', life, schema_hash,
        (SELECT system_identifier FROM pg_control_system()),
        left(pg_walfile_name(pg_current_wal_lsn()), 8),
        (SELECT oid FROM pg_database WHERE datname = current_database())), 'UTF8')), 'hex'), 24)
"""
# Who entered what between two lives is in none of them: a cursor from before must not be brought up to date from there.
_BEGAN = "SELECT coalesce(max(began), 0) FROM live_head"
_READ_HEAD = f"SELECT seq, {EPOCH} FROM live_head WHERE id = 1"


@dataclass(frozen=True)
class Position:
    """A point of the log: the epoch names one life of it, seq counts its events without a gap."""

    epoch: str
    seq: int


@dataclass(frozen=True)
class LogEntry:
    """An event as it is stored and sent: ``ops`` is JSON text, encoded once."""

    seq: int
    scope: str
    prev: int
    ops: str
    control: bool


@dataclass
class Draft:
    """An event of the batch in hand, before it has a place in the log."""

    scope: str
    control: list[Op] = field(default_factory=list)
    removes: list[Op] = field(default_factory=list)
    upserts: list[Op] = field(default_factory=list)
    stale: bool = False


STALE: Op = {"op": "stale"}
MOST_BYTES = 256 * 1024


def encode(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def read_head(cursor: CursorWrapper) -> Position:
    """Where the log stands; an empty epoch before the first relay has made the log."""
    cursor.execute(_READ_HEAD)
    row = cursor.fetchone()
    return Position(row[1], row[0]) if row else Position("", 0)


def lock_head(cursor: CursorWrapper) -> Position:
    """Take the right to append, until the transaction ends. A log that does not exist yet begins."""
    cursor.execute(f"{_READ_HEAD} FOR UPDATE")
    if (row := cursor.fetchone()) is None:
        cursor.execute(
            "INSERT INTO live_head (id, seq, life, schema_hash) VALUES (1, 0, gen_random_uuid(), '')"
            " ON CONFLICT DO NOTHING"
        )
        cursor.execute(f"{_READ_HEAD} FOR UPDATE")
        row = cursor.fetchone()
    assert row is not None
    return Position(row[1], row[0])


def begin_new_life(cursor: CursorWrapper, *, instead_of: str | None = None) -> None:
    """Make every cursor given out so far invalid.

    Args:
        instead_of: only if this is still the epoch, as several may notice at once that it must end.
    """
    cursor.execute(
        "UPDATE live_head SET life = gen_random_uuid(), began = seq "
        f"WHERE id = 1 AND (%s::text IS NULL OR {EPOCH} = %s)",
        [instead_of, instead_of],
    )


def append(cursor: CursorWrapper, head: Position, drafts: Sequence[Draft]) -> list[LogEntry]:
    """Write events behind the head and move it. The caller holds the head's lock.

    Args:
        drafts: at most one of a scope, in the order they shall have.
    """
    made: list[dict[str, Any]] = []
    for seq, draft in enumerate(drafts, start=head.seq + 1):
        ops = encode([*draft.control, *([STALE] if draft.stale else [*draft.removes, *draft.upserts])])
        if len(ops.encode()) > MOST_BYTES:
            ops = encode([*map(_without_window, draft.control), STALE])
        made.append({"seq": seq, "scope": draft.scope, "ops": ops, "control": bool(draft.control)})
    # One statement: each more would be one more way to the server and back, in which every client waits. Its parts see
    # the scopes as they were before it.
    cursor.execute(
        """
        WITH made AS (
            SELECT * FROM json_to_recordset(%s::json) AS e(seq bigint, scope text, ops text, control boolean)
        ), event AS (
            INSERT INTO live_event (seq, scope, prev, ops, control, at)
            SELECT made.seq, scope, coalesce(s.seq, 0), ops, control, now()
            FROM made LEFT JOIN live_scope s USING (scope)
            RETURNING scope, prev
        ), moved AS (
            INSERT INTO live_scope (scope, seq) SELECT scope, seq FROM made
            ON CONFLICT (scope) DO UPDATE SET seq = excluded.seq
        ), head AS (
            UPDATE live_head SET seq = %s WHERE id = 1
        )
        SELECT scope, prev FROM event
        """,
        # As one text: an array is written element by element, in Python.
        [encode(made), head.seq + len(made)],
    )
    previous = dict(cursor.fetchall())
    return [LogEntry(prev=previous[entry["scope"]], **entry) for entry in made]


def _without_window(op: Op) -> Op:
    return {**op, "window": None} if op["op"] == "enter" else op


def read_events(
    cursor: CursorWrapper, *, after: int, until: int, scopes: Collection[str] | None = None, limit: int
) -> list[LogEntry]:
    """Events with ``after < seq <= until`` in order, of all scopes or of some; none of a former life."""
    condition, parameters = ("", []) if scopes is None else (" AND scope = ANY(%s)", [list(scopes)])
    cursor.execute(
        "SELECT seq, scope, prev, ops, control FROM live_event "
        f"WHERE seq > greatest(%s, ({_BEGAN})) AND seq <= %s{condition} ORDER BY seq LIMIT %s",
        [after, until, *parameters, limit],
    )
    return [LogEntry(*row) for row in cursor.fetchall()]


def oldest_seq(cursor: CursorWrapper) -> int | None:
    """The seq of the oldest event of this life that is kept."""
    cursor.execute(f"SELECT min(seq) FROM live_event WHERE seq > ({_BEGAN})")
    row = cursor.fetchone()
    return None if row is None else row[0]
