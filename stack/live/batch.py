"""One batch of the relay: outbox rows in, events out, in one transaction."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.utils import CursorWrapper
from django.db.models import Model

from stack.live import log, memberships
from stack.live.db import repeatable_read
from stack.live.memberships import Difference, RowChange
from stack.live.models import Outbox
from stack.live.registry import Entity, json_id, registry
from stack.live.scopes import user_scope
from stack.live.snapshot import read_windows

logger = logging.getLogger(__name__)

MOST_ROWS = 2000
MOST_OPS = 500


@dataclass(frozen=True)
class Batch:
    """Events that were committed together, and where the log stands after them."""

    head: log.Position
    entries: tuple[log.LogEntry, ...]


@dataclass(frozen=True)
class OutboxRow:
    """A row of the outbox, as it was taken."""

    id: int
    kind: str
    name: str
    key: str
    scope: str
    row: Mapping[str, Any] | None


def pending(cursor: CursorWrapper) -> bool:
    """Whether there is anything to take; costs next to nothing."""
    cursor.execute("SELECT EXISTS (SELECT FROM live_outbox)")
    return bool(cursor.fetchone()[0])


def run_batch(
    reads: Mapping[str, frozenset[str]], *, last: log.Position | None = None, schema_hash: str | None = None
) -> Batch | None:
    """Turn what the outbox holds into events.

    Args:
        reads: membership -> the tables that it reads.
        last: where this relay last saw the log; a head behind it begins a new life.
        schema_hash: given when a relay takes the lead: all memberships are evaluated whole and the hash is written.

    Returns:
        The batch, or None if there was nothing to do.

    Raises:
        OperationalError: with a serialization failure, another relay was first; nothing happened.
    """
    with repeatable_read() as cursor:
        head = log.lock_head(cursor)
        if schema_hash is not None:
            cursor.execute("UPDATE live_head SET schema_hash = %s WHERE id = 1", [schema_hash])
        if last is not None and last.epoch == head.epoch and head.seq < last.seq:
            log.begin_new_life(cursor)
        rows = _take(cursor)
        oversized = _oversized(cursor) if len(rows) >= MOST_ROWS else set()
        difference = memberships.evaluate(
            cursor,
            None
            if schema_hash is not None
            else [RowChange(row.name, row.row) for row in rows if row.kind == Outbox.Kind.MEMBERSHIP],
            reads,
        )
        drafts = _drafts(rows, difference, oversized)
        entries = log.append(cursor, head, drafts) if drafts else []
        _delete(cursor, rows, oversized)
        head = log.read_head(cursor)
    return Batch(head, tuple(entries)) if entries or rows or schema_hash is not None else None


def _take(cursor: CursorWrapper) -> list[OutboxRow]:
    """All rows of memberships and sign-in state, and as many of the others as one batch may hold."""
    cursor.execute(
        """
        (SELECT id, kind, name, key, scope, row::text FROM live_outbox WHERE kind <> 'entity')
        UNION ALL
        (SELECT id, kind, name, key, scope, NULL FROM live_outbox WHERE kind = 'entity' ORDER BY id LIMIT %s)
        ORDER BY id
        """,
        [MOST_ROWS],
    )
    return [
        OutboxRow(id_, kind, name, key, scope, None if row is None else json.loads(row))
        for id_, kind, name, key, scope, row in cursor.fetchall()
    ]


def _oversized(cursor: CursorWrapper) -> set[str]:
    """Scopes with more changes waiting than one event may hold; their entities are not read."""
    cursor.execute(
        "SELECT scope FROM live_outbox WHERE kind = 'entity' GROUP BY scope HAVING count(*) > %s", [MOST_OPS]
    )
    return {scope for (scope,) in cursor.fetchall()}


def _delete(cursor: CursorWrapper, rows: Sequence[OutboxRow], oversized: Collection[str]) -> None:
    cursor.execute("DELETE FROM live_outbox WHERE id = ANY(%s)", [[row.id for row in rows]])
    if oversized:
        cursor.execute("DELETE FROM live_outbox WHERE kind = 'entity' AND scope = ANY(%s)", [list(oversized)])


def _drafts(rows: Sequence[OutboxRow], difference: Difference, oversized: Iterable[str]) -> list[log.Draft]:
    """Events in their order: losses and gains of access first, so that nobody is sent what follows a loss."""
    drafts: dict[str, log.Draft] = {}

    def draft(scope: str) -> log.Draft:
        return drafts.setdefault(scope, log.Draft(scope))

    closing = {(row.scope, row.key) for row in rows if row.kind == Outbox.Kind.CLOSE}
    for scope, session in sorted(closing):
        draft(scope).control.append({"op": "close", "session": session or None})
    for viewer in sorted(difference.viewers):
        own = draft(user_scope(viewer))
        own.control += [{"op": "leave", "scope": scope} for scope in difference.left.get(viewer, ())]
    windows = read_windows({s for scopes in difference.entered.values() for s in scopes})
    for viewer in sorted(difference.viewers):
        own = draft(user_scope(viewer))
        own.control += [
            {"op": "enter", "scope": scope, "window": windows[scope]} for scope in difference.entered.get(viewer, ())
        ]

    stale = {row.scope for row in rows if row.kind == Outbox.Kind.STALE} | set(oversized)
    for scope in sorted(stale):
        draft(scope).stale = True
    _add_ops([r for r in rows if r.kind == Outbox.Kind.ENTITY and r.scope not in stale], drafts)
    return list(drafts.values())


def _add_ops(rows: Sequence[OutboxRow], drafts: dict[str, log.Draft]) -> None:
    changed = dict.fromkeys((row.scope, row.name, row.key) for row in rows)
    counts: dict[str, int] = defaultdict(int)
    for scope, _name, _key in changed:
        counts[scope] += 1
    keys: dict[str, set[str]] = defaultdict(set)
    for scope, name, key in changed:
        if counts[scope] <= MOST_OPS:
            keys[name].add(key)
    current = {name: _read(registry.entities[name], found) for name, found in keys.items() if name in registry.entities}
    for scope, name, key in changed:
        draft = drafts.setdefault(scope, log.Draft(scope))
        if counts[scope] > MOST_OPS:
            draft.stale = True
            continue
        entity = registry.entities.get(name)
        if entity is None:
            continue
        instance = current[name].get(key)
        if instance is not None and entity.scope_of(instance) == scope:
            try:
                data = entity.data(instance)
            except Exception:
                # One row that cannot be written must not stop everybody's updates.
                logger.exception("live: %s %s cannot be written", name, key)
                draft.stale = True
                continue
            draft.upserts.append({"op": "upsert", "type": name, "id": data["id"], "data": data})
        else:
            id_ = json_id(entity.model._meta.pk.to_python(key))
            draft.removes.append({"op": "remove", "type": name, "id": id_})


def _read(entity: Entity, keys: Iterable[str]) -> dict[str, Model]:
    return {str(row.pk): row for row in entity.model._base_manager.filter(pk__in=list(keys))}
