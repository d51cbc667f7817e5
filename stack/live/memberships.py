"""Who sees which scopes: evaluating the registered queries and telling what changed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.db.backends.utils import CursorWrapper

from stack.live.registry import VIEWER, Condition, Membership, registry
from stack.live.scopes import EVERYONE, user_scope
from stack.live.triggers import columns_read

logger = logging.getLogger(__name__)

Pair: TypeAlias = tuple[str, int]
"""A scope and one of its viewers."""

MOST_CONDITIONS = 200
"""Beyond this, evaluating the whole query costs less than its parts."""


@dataclass(frozen=True)
class RowChange:
    """A changed row of a table that a membership reads; ``row`` is None where the table was emptied."""

    table: str
    row: Mapping[str, Any] | None


@dataclass
class Difference:
    """What viewers lost and gained, all memberships of a scope taken together."""

    left: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    entered: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def viewers(self) -> set[int]:
        return {*self.left, *self.entered}


def tables_read(cursor: CursorWrapper) -> dict[str, frozenset[str]]:
    """Membership -> the tables that it reads."""
    return {m.key: frozenset(columns_read(cursor, m)) for m in registry.memberships.values()}


def scopes_of(cursor: CursorWrapper, user_id: int) -> set[str]:
    """The scopes a user sees now, asked of the registered queries themselves."""
    selects, parameters = [], []
    for membership in registry.memberships.values():
        sql, own = membership.sql()
        selects.append(f'{sql} WHERE q."{VIEWER}" = %s')
        parameters += [*own, user_id]
    scopes = {user_scope(user_id), EVERYONE}
    if selects:
        cursor.execute(" UNION ".join(selects), parameters)
        scopes.update(scope for scope, _viewer in cursor.fetchall() if scope is not None)
    return scopes


def evaluate(
    cursor: CursorWrapper, changes: Iterable[RowChange] | None, reads: Mapping[str, frozenset[str]]
) -> Difference:
    """Bring the stored memberships in step with their queries.

    Args:
        changes: the rows that changed; None evaluates every membership whole.
        reads: membership -> the tables that it reads.

    Returns:
        What changed for whom, in names of scopes.
    """
    changes = None if changes is None else list(changes)
    added: list[tuple[str, Pair]] = []
    removed: list[tuple[str, Pair]] = []
    for membership in registry.memberships.values():
        conditions = None if changes is None else _conditions(membership, changes, reads[membership.key])
        if conditions is not None and not conditions:
            continue
        now, stored = _result(cursor, membership, conditions), _stored(cursor, membership, conditions)
        added += [(membership.key, pair) for pair in now - stored]
        removed += [(membership.key, pair) for pair in stored - now]
    if changes is None:
        cursor.execute(
            "SELECT source, scope, viewer FROM live_membership WHERE source <> ALL(%s)",
            [list(registry.memberships)],
        )
        removed += [(source, (scope, viewer)) for source, scope, viewer in cursor.fetchall()]
    return _apply(cursor, added, removed)


def _conditions(membership: Membership, changes: Sequence[RowChange], tables: frozenset[str]) -> list[Condition] | None:
    """Where the membership's result can have changed; None for everywhere, empty for nowhere."""
    found: dict[tuple[tuple[str, Any], ...], Condition] = {}
    for change in changes:
        if change.table not in tables:
            continue
        narrow = membership.narrow.get(change.table)
        if narrow is None or change.row is None:
            return None
        try:
            conditions = narrow(change.row)
        except Exception:
            logger.exception("live: narrow of %s failed, the whole is evaluated", membership.key)
            return None
        for condition in conditions:
            if None not in condition.values():
                found[tuple(sorted(condition.items()))] = condition
    return list(found.values()) if len(found) <= MOST_CONDITIONS else None


def _result(cursor: CursorWrapper, membership: Membership, conditions: list[Condition] | None) -> set[Pair]:
    sql, parameters = membership.sql()
    own: list[Any] = []
    clauses = []
    for condition in conditions or ():
        clauses.append("(" + " AND ".join(f'q."{column}" = %s' for column in condition) + ")")
        own += condition.values()
    where = f" WHERE {' OR '.join(clauses)}" if clauses else ""
    cursor.execute(f"SELECT DISTINCT m.scope, m.viewer FROM ({sql}{where}) AS m", [*parameters, *own])
    return {(scope, viewer) for scope, viewer in cursor.fetchall() if scope is not None and viewer is not None}


def _stored(cursor: CursorWrapper, membership: Membership, conditions: list[Condition] | None) -> set[Pair]:
    parameters: list[Any] = [membership.key]
    clauses = []
    for condition in conditions or ():
        parts = []
        if VIEWER in condition:
            parts.append("viewer = %s")
            parameters.append(condition[VIEWER])
        if scope_columns := set(condition) - {VIEWER}:
            if scope_columns != set(membership.scope.columns):
                raise ValueError(
                    f"narrow of {membership.scope.text!r} gives a condition on {sorted(condition)}: "
                    "it must name all of the scope's columns, the viewer, or both"
                )
            parts.append("scope = %s")
            parameters.append(membership.scope.name(condition))
        clauses.append(f"({' AND '.join(parts)})")
    where = f" AND ({' OR '.join(clauses)})" if clauses else ""
    cursor.execute(f"SELECT scope, viewer FROM live_membership WHERE source = %s{where}", parameters)
    return set(cursor.fetchall())


def _apply(cursor: CursorWrapper, added: Sequence[tuple[str, Pair]], removed: Sequence[tuple[str, Pair]]) -> Difference:
    difference = Difference()
    touched = sorted({pair for _source, pair in (*added, *removed)})
    if not touched:
        return difference
    before = _seen(cursor, touched)
    if removed:
        cursor.execute(
            "DELETE FROM live_membership m "
            "USING unnest(%s::text[], %s::text[], %s::bigint[]) AS t(source, scope, viewer) "
            "WHERE (m.source, m.scope, m.viewer) = (t.source, t.scope, t.viewer)",
            _columns(removed),
        )
    if added:
        cursor.execute(
            "INSERT INTO live_membership (source, scope, viewer) "
            "SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[])",
            _columns(added),
        )
    after = _seen(cursor, touched)
    for scope, viewer in sorted(before - after):
        difference.left[viewer].append(scope)
    for scope, viewer in sorted(after - before):
        difference.entered[viewer].append(scope)
    return difference


def _columns(rows: Sequence[tuple[str, Pair]]) -> list[list[Any]]:
    return [[s for s, _ in rows], [scope for _, (scope, _v) in rows], [viewer for _, (_s, viewer) in rows]]


def _seen(cursor: CursorWrapper, pairs: Sequence[Pair]) -> set[Pair]:
    cursor.execute(
        "SELECT DISTINCT scope, viewer FROM live_membership "
        "JOIN unnest(%s::text[], %s::bigint[]) AS t(scope, viewer) USING (scope, viewer)",
        [[scope for scope, _ in pairs], [viewer for _, viewer in pairs]],
    )
    return set(cursor.fetchall())
