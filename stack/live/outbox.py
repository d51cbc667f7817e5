"""Taking from the outbox: what one batch turns into events, and deleting exactly that.

However much one statement has changed, a batch holds a bounded part of it, and small changes that were committed
meanwhile do not wait for the rest. What a batch must see whole (membership rows and sign-in state) is condensed by the
database where it is much.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from django.db.backends.utils import CursorWrapper

from stack.live.log import Position
from stack.live.memberships import RowChange
from stack.live.models import Outbox

MOST_ROWS = 1000
"""Rows of entities that a batch takes, and rows of other kinds that it reads one by one."""

MOST_OPS = 500
"""Ops of one scope in one batch; beyond them clients load the scope anew."""

SMALL = 200
"""Rows of one transaction that may overtake larger ones."""

MOST_CHANGES = 2500
"""Distinct membership rows that are looked at; beyond them their table counts as changed everywhere."""

MOST_CLOSINGS = 10_000
"""Sessions and accounts whose end is told; beyond them a new life of the log has every client show its session again.
"""

_KIND = Outbox.Kind


@dataclass(frozen=True)
class EntityRow:
    """A changed entity, in a scope that it lay or lies in."""

    id: int
    name: str
    key: str
    scope: str


@dataclass
class Taken:
    """What one batch works on.

    Attributes:
        entities: changed entities, oldest first.
        stale: scopes of which too much has changed to be told, or a table was emptied.
        oversized: of these, scopes whose rows of entities all go unread.
        closing: scope of a user and digest of a session, empty for all of the user's sessions.
        too_large: more sign-in state has ended than is told; `closing` is empty.
        changes: rows that memberships read.
        flooded: kinds that are taken whole, whatever is listed here of them.
    """

    entities: list[EntityRow] = field(default_factory=list)
    stale: set[str] = field(default_factory=set)
    oversized: set[str] = field(default_factory=set)
    closing: set[tuple[str, str]] = field(default_factory=set)
    too_large: bool = False
    changes: list[RowChange] = field(default_factory=list)
    flooded: set[str] = field(default_factory=set)
    ids: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ids or self.flooded)


def pending(cursor: CursorWrapper, last: Position | None) -> bool:
    """Whether there is anything to take, or the log went back behind ``last``; costs next to nothing."""
    cursor.execute("SELECT EXISTS (SELECT FROM live_outbox), (SELECT seq FROM live_head WHERE id = 1)")
    waits, seq = cursor.fetchone()
    return bool(waits) or (last is not None and seq is not None and seq < last.seq)


def take(cursor: CursorWrapper) -> Taken:
    """All of memberships and sign-in state, and as much of the rest as one batch may hold.

    The transaction sees one state of the database, so that what is counted here is what `delete` deletes.
    """
    taken = Taken()
    cursor.execute(
        """
        (SELECT id, kind, name, key, scope, row::text FROM live_outbox WHERE kind <> 'entity' ORDER BY id LIMIT %s)
        UNION ALL
        (SELECT id, kind, name, key, scope, NULL FROM live_outbox WHERE kind = 'entity' ORDER BY id LIMIT %s)
        """,
        [MOST_ROWS + 1, MOST_ROWS],
    )
    found = cursor.fetchall()
    entities = [EntityRow(id_, name, key, scope) for id_, kind, name, key, scope, _ in found if kind == _KIND.ENTITY]
    rest = [row for row in found if row[1] != _KIND.ENTITY]
    if len(rest) > MOST_ROWS:
        _take_condensed(cursor, taken)
    else:
        _take_rest(rest, taken)
    if len(entities) == MOST_ROWS:
        taken.oversized = _oversized(cursor)
        taken.stale |= taken.oversized
        overtaking = _small(cursor)
        kept = entities[: MOST_ROWS - len(overtaking)]
        entities = list({row.id: row for row in (*kept, *overtaking)}.values())
    taken.entities = entities
    taken.ids += [row.id for row in taken.entities]
    return taken


def delete(cursor: CursorWrapper, taken: Taken) -> None:
    """Delete what was taken, and nothing else."""
    cursor.execute("DELETE FROM live_outbox WHERE id = ANY(%s::bigint[])", [f"{{{','.join(map(str, taken.ids))}}}"])
    if taken.oversized:
        cursor.execute("DELETE FROM live_outbox WHERE kind = 'entity' AND scope = ANY(%s)", [list(taken.oversized)])
    if taken.flooded:
        cursor.execute("DELETE FROM live_outbox WHERE kind = ANY(%s)", [list(taken.flooded)])


def _take_rest(rows: list[tuple[int, str, str, str, str, str | None]], taken: Taken) -> None:
    for id_, kind, name, key, scope, row in rows:
        taken.ids.append(id_)
        if kind == _KIND.CLOSE:
            taken.closing.add((scope, key))
        elif kind == _KIND.STALE:
            taken.stale.add(scope)
        else:
            taken.changes.append(_change(name, row))


def _change(name: str, row: str | None) -> RowChange:
    try:
        return RowChange(name, None if row is None else json.loads(row))
    except (ValueError, RecursionError):
        # Postgres takes longer numbers and deeper nesting than Python; what cannot be looked at may concern everybody.
        return RowChange(name, None)


def _take_condensed(cursor: CursorWrapper, taken: Taken) -> None:
    """Much of memberships, sign-in state or emptied tables: what is equal counts once."""
    taken.changes = [_change(name, row) for name, row in _changes(cursor)]
    cursor.execute("SELECT DISTINCT scope, key FROM live_outbox WHERE kind = 'close' LIMIT %s", [MOST_CLOSINGS + 1])
    closing = cursor.fetchall()
    taken.too_large = len(closing) > MOST_CLOSINGS
    taken.closing = set() if taken.too_large else set(closing)
    taken.flooded = {_KIND.MEMBERSHIP, _KIND.CLOSE}
    # Stale may come late, as a scope that is loaded late is loaded with all that came in between.
    cursor.execute("SELECT id, scope FROM live_outbox WHERE kind = 'stale' ORDER BY id LIMIT %s", [MOST_ROWS])
    for id_, scope in cursor.fetchall():
        taken.ids.append(id_)
        taken.stale.add(scope)


def _changes(cursor: CursorWrapper) -> list[tuple[str, str | None]]:
    """Distinct rows that memberships read; where they are too many, their tables."""
    # Where they are very many, few of them are enough to see that, and comparing all would take long.
    for looked_at in (3 * MOST_CHANGES, None):
        cursor.execute(
            "SELECT DISTINCT name, row FROM ("
            " SELECT name, row::text FROM live_outbox WHERE kind = 'membership' LIMIT %s) AS looked_at LIMIT %s",
            [looked_at, MOST_CHANGES + 1],
        )
        if cursor.rowcount > MOST_CHANGES:
            cursor.execute("SELECT DISTINCT name, NULL FROM live_outbox WHERE kind = 'membership'")
            break
    return list(cursor.fetchall())


def _oversized(cursor: CursorWrapper) -> set[str]:
    """Scopes with more changes waiting than one event may hold; their entities are not read."""
    cursor.execute(
        "SELECT scope FROM live_outbox WHERE kind = 'entity' GROUP BY scope HAVING count(*) > %s", [MOST_OPS]
    )
    return {scope for (scope,) in cursor.fetchall()}


def _small(cursor: CursorWrapper) -> list[EntityRow]:
    """Rows of small transactions, which a large one must not hold up; ``xmin`` is the transaction that wrote a row."""
    cursor.execute(
        """
        SELECT id, name, key, scope FROM live_outbox WHERE kind = 'entity' AND xmin IN (
            SELECT xmin FROM live_outbox WHERE kind = 'entity' GROUP BY xmin HAVING count(*) <= %s)
        ORDER BY id LIMIT %s
        """,
        [SMALL, MOST_ROWS // 2],
    )
    return [EntityRow(*row) for row in cursor.fetchall()]
