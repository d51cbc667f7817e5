"""Who sees which scopes: evaluating the registered queries and telling what changed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
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
"""Beyond this, pairs of a scope and a viewer are looked for by their viewers alone."""

MOST_VALUES = 5000
"""Beyond this, evaluating the whole query costs less than its parts."""

MOST_PAIRS = 10_000
"""More that changed at once is not told one by one: whom it concerns loads a snapshot."""

MOST_ANEW = 1000
"""Viewers who are told to do so; beyond them a new life of the log has everybody do it."""


@dataclass(frozen=True)
class RowChange:
    """A changed row of a table that a membership reads; ``row`` is None where the table was emptied."""

    table: str
    row: Mapping[str, Any] | None


@dataclass
class Difference:
    """What viewers lost and gained, all memberships of a scope taken together.

    Attributes:
        anew: viewers for whom that is too much to be told; nothing of them is in `left` and `entered`.
        too_large: these are too many as well, and everything else is empty. The stored memberships are in step.
    """

    left: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    entered: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    anew: set[int] = field(default_factory=set)
    too_large: bool = False

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
    anew: set[int] = set()
    for membership in registry.memberships.values():
        conditions = None if changes is None else _conditions(membership, changes, reads[membership.key])
        if conditions is not None and not conditions:
            continue
        with _planned_for_much(cursor) if conditions is None else nullcontext():
            sql, parameters = _compared(membership, conditions)
            cursor.execute(f"{sql} LIMIT %s", [*parameters, MOST_PAIRS + 1])
            found = cursor.fetchall()
            if len(found) > MOST_PAIRS:
                anew |= _bring_in_step(cursor, membership, conditions)
                continue
        for scope, viewer, is_new in found:
            (added if is_new else removed).append((membership.key, (scope, viewer)))
    if changes is None:
        known = list(registry.memberships)
        cursor.execute(
            "SELECT source, scope, viewer FROM live_membership WHERE source <> ALL(%s) LIMIT %s",
            [known, MOST_PAIRS + 1],
        )
        found = cursor.fetchall()
        if len(found) > MOST_PAIRS:
            anew |= _drop_others(cursor, known)
        else:
            removed += [(source, (scope, viewer)) for source, scope, viewer in found]
    difference = _apply(cursor, added, removed)
    if len(added) + len(removed) > MOST_PAIRS:
        anew |= difference.viewers
    if len(anew) > MOST_ANEW:
        return Difference(too_large=True)
    for viewer in anew:
        difference.left.pop(viewer, None)
        difference.entered.pop(viewer, None)
    difference.anew = anew
    return difference


@contextmanager
def _planned_for_much(cursor: CursorWrapper) -> Iterator[None]:
    """Just after much was written Postgres may take a table for empty, and compare every row with every other."""
    cursor.execute("SELECT set_config('enable_nestloop', 'off', true)")
    yield
    cursor.execute("SELECT set_config('enable_nestloop', 'on', true)")


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
    return _widened(list(found.values()))


def _widened(conditions: list[Condition]) -> list[Condition] | None:
    """Fewer conditions that hold wherever these do; None for everywhere."""
    if sum(len(condition) > 1 for condition in conditions) > MOST_CONDITIONS:
        if any(len(condition) > 1 and VIEWER not in condition for condition in conditions):
            return None
        conditions = [c if len(c) == 1 else {VIEWER: c[VIEWER]} for c in conditions]
        conditions = list({tuple(c.items()): c for c in conditions}.values())
    return conditions if len(conditions) <= MOST_VALUES else None


def _compared(membership: Membership, conditions: list[Condition] | None) -> tuple[str, list[Any]]:
    """SQL for the pairs that are in the query's result or stored, not both: scope, viewer, whether it is the former.

    The database compares, so that what stays as it is need not be read.
    """
    now, parameters = _result(membership, conditions)
    where, own = _stored(membership, conditions)
    sql = f"""
        SELECT coalesce(n.scope, s.scope) AS scope, coalesce(n.viewer, s.viewer) AS viewer, s.scope IS NULL AS is_new
        FROM (SELECT * FROM ({now}) AS m WHERE m.scope IS NOT NULL AND m.viewer IS NOT NULL) AS n
        FULL JOIN (SELECT scope, viewer FROM live_membership WHERE source = %s{where}) AS s
            ON n.scope = s.scope AND n.viewer = s.viewer
        WHERE n.scope IS NULL OR s.scope IS NULL
    """
    return sql, [*parameters, membership.key, *own]


def _result(membership: Membership, conditions: list[Condition] | None) -> tuple[str, list[Any]]:
    """The query's pairs, each once, and the parameters."""
    sql, parameters = membership.sql()
    if conditions is None:
        return f"SELECT DISTINCT m.scope, m.viewer FROM ({sql}) AS m", list(parameters)
    parts, all_parameters = [], []
    for columns, values in _by_columns(conditions).items():
        left = ", ".join(f'q."{column}"' for column in columns)
        own = [value for row in values for value in row]
        if len(columns) == 1:
            where = f"{left} IN ({', '.join(['%s'] * len(values))})"
        else:
            where = " OR ".join([f"({left}) = ({', '.join(['%s'] * len(columns))})"] * len(values))
        # One part for each of them: an OR over columns of several tables would use no index.
        parts.append(f"{sql} WHERE {where}")
        all_parameters += [*parameters, *own]
    return " UNION ".join([*parts, "SELECT NULL, NULL::bigint WHERE FALSE"]), all_parameters


def _stored(membership: Membership, conditions: list[Condition] | None) -> tuple[str, list[Any]]:
    if conditions is None:
        return "", []
    clauses, parameters = [], []
    for columns, values in _by_columns(conditions).items():
        scope_columns = set(columns) - {VIEWER}
        if scope_columns and scope_columns != set(membership.scope.columns):
            raise ValueError(
                f"narrow of {membership.scope.text!r} gives a condition on {sorted(columns)}: "
                "it must name all of the scope's columns, the viewer, or both"
            )
        rows = [dict(zip(columns, row, strict=True)) for row in values]
        names = [membership.scope.name(row) for row in rows] if scope_columns else []
        if not scope_columns:
            clauses.append(f"viewer IN ({', '.join(['%s'] * len(rows))})")
            parameters += [row[VIEWER] for row in rows]
        elif VIEWER not in columns:
            clauses.append(f"scope IN ({', '.join(['%s'] * len(rows))})")
            parameters += names
        else:
            clauses.append(f"(scope, viewer) IN ({', '.join(['(%s, %s)'] * len(rows))})")
            parameters += [value for row, name in zip(rows, names, strict=True) for value in (name, row[VIEWER])]
    return f" AND ({' OR '.join(clauses)})", parameters


def _by_columns(conditions: list[Condition]) -> dict[tuple[str, ...], list[tuple[Any, ...]]]:
    found: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for condition in conditions:
        columns = tuple(sorted(condition))
        found[columns].append(tuple(condition[column] for column in columns))
    return found


def _bring_in_step(cursor: CursorWrapper, membership: Membership, conditions: list[Condition] | None) -> set[int]:
    """Make the stored pairs those of the query, without reading them.

    Returns:
        Whom that concerned, or so many that it no longer matters who.
    """
    sql, parameters = _compared(membership, conditions)
    cursor.execute(
        f"""
        WITH compared AS MATERIALIZED ({sql}), gone AS (
            DELETE FROM live_membership m USING compared c
            WHERE NOT c.is_new AND m.source = %s AND m.scope = c.scope AND m.viewer = c.viewer
        ), come AS (
            INSERT INTO live_membership (source, scope, viewer) SELECT %s, scope, viewer FROM compared WHERE is_new
        )
        SELECT DISTINCT viewer FROM compared LIMIT %s
        """,
        [*parameters, membership.key, membership.key, MOST_ANEW + 1],
    )
    return {viewer for (viewer,) in cursor.fetchall()}


def _drop_others(cursor: CursorWrapper, known: Sequence[str]) -> set[int]:
    """Drop the stored pairs of memberships that are registered no longer; returns as `_bring_in_step` does."""
    cursor.execute(
        "WITH gone AS (DELETE FROM live_membership WHERE source <> ALL(%s) RETURNING viewer)"
        " SELECT DISTINCT viewer FROM gone LIMIT %s",
        [list(known), MOST_ANEW + 1],
    )
    return {viewer for (viewer,) in cursor.fetchall()}


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
