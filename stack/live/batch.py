"""One batch of the relay: outbox rows in, events out, in one transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from stack.live import log, memberships, outbox
from stack.live.db import repeatable_read
from stack.live.memberships import Difference
from stack.live.outbox import MOST_OPS, EntityRow, Taken
from stack.live.registry import Entity, json_id, registry
from stack.live.rows import Row, reader
from stack.live.scopes import user_scope
from stack.live.snapshot import Window, read_windows
from stack.live.triggers import quote

MOST_WINDOWS, MOST_WINDOW_BYTES = 500, 8 * 1024 * 1024
"""Of the windows that come along with one batch's enters, the bytes counted for every viewer; clients load the others.
"""

_WINDOWS_AT_ONCE = 50


@dataclass(frozen=True)
class Batch:
    """Events that were committed together, and where the log stands after them.

    Attributes:
        entries: the events.
    """

    head: log.Position
    entries: tuple[log.LogEntry, ...]


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
            cursor.execute(
                "UPDATE live_head SET schema_hash = %s WHERE id = 1 AND schema_hash <> %s", [schema_hash] * 2
            )
        # The hash alone would make the epoch of code that comes back a former one.
        is_other_code = schema_hash is not None and cursor.rowcount > 0
        went_back = last is not None and last.epoch == head.epoch and head.seq < last.seq
        taken = outbox.take(cursor)
        difference = memberships.evaluate(cursor, None if schema_hash is not None else taken.changes, reads)
        new_life = went_back or is_other_code or taken.too_large or difference.too_large
        if new_life:
            log.begin_new_life(cursor)
        drafts = _drafts(taken, difference)
        entries = log.append(cursor, head, drafts) if drafts else []
        outbox.delete(cursor, taken)
        # The epoch was read with the head's lock; only what was done since can have changed it.
        is_same = schema_hash is None and not new_life
        head = log.Position(head.epoch, head.seq + len(entries)) if is_same else log.read_head(cursor)
    return Batch(head, tuple(entries)) if taken or went_back or schema_hash is not None else None


def _drafts(taken: Taken, difference: Difference) -> list[log.Draft]:
    """Events in their order: losses and gains of access first, so that nobody is sent what follows a loss."""
    drafts: dict[str, log.Draft] = {}

    def draft(scope: str) -> log.Draft:
        return drafts.setdefault(scope, log.Draft(scope))

    for scope, session in sorted(taken.closing):
        draft(scope).control.append({"op": "close", "session": session or None})
    for viewer in sorted(difference.anew):
        draft(user_scope(viewer)).control.append({"op": "anew"})
    for viewer in sorted(difference.viewers):
        own = draft(user_scope(viewer))
        own.control += [{"op": "leave", "scope": scope} for scope in difference.left.get(viewer, ())]
    windows = _windows(difference)
    for viewer in sorted(difference.viewers):
        own = draft(user_scope(viewer))
        own.control += [
            {"op": "enter", "scope": scope, "window": windows[scope]} for scope in difference.entered.get(viewer, ())
        ]

    for scope in sorted(taken.stale):
        draft(scope).stale = True
    _add_ops([row for row in taken.entities if row.scope not in taken.stale], drafts)
    return list(drafts.values())


def _windows(difference: Difference) -> dict[str, Window | None]:
    """The windows of the scopes that were entered; None for those that would be too much."""
    viewers = Counter(scope for scopes in difference.entered.values() for scope in scopes)
    found: dict[str, Window | None] = dict.fromkeys(viewers)
    wanted, left = sorted(viewers)[:MOST_WINDOWS], MOST_WINDOW_BYTES
    for start in range(0, len(wanted), _WINDOWS_AT_ONCE):
        for scope, window in read_windows(wanted[start : start + _WINDOWS_AT_ONCE]).items():
            left -= viewers[scope] * len(log.encode(window).encode())
            if left < 0:
                return found
            found[scope] = window
    return found


def _add_ops(rows: Sequence[EntityRow], drafts: dict[str, log.Draft]) -> None:
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
        row = current[name].get(key)
        if row is not None and row.data is not None and row.scope == scope:
            draft.upserts.append({"op": "upsert", "type": name, "id": row.data["id"], "data": row.data})
        else:
            id_ = json_id(entity.model._meta.pk.to_python(key))
            draft.removes.append({"op": "remove", "type": name, "id": id_})


def _read(entity: Entity, keys: Iterable[str]) -> dict[str, Row]:
    """The rows with these keys."""
    read = reader(entity)
    rows = read.read(
        f"SELECT {read.select} FROM {quote(entity.table)} AS t WHERE t.{quote(entity.pk_column)} IN "
        f"(SELECT json_array_elements_text(%s::json)::{entity.model._meta.pk.rel_db_type(connection)})",
        [log.encode(list(keys))],
    )
    return {str(row.key[1]): row for row in rows}
