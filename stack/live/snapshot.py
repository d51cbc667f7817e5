"""Snapshots: a user's windows and the seq they stand at, read in one state of the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from django.db import connection
from django.db.backends.utils import CursorWrapper

from stack.live.db import repeatable_read
from stack.live.log import read_head
from stack.live.memberships import scopes_of
from stack.live.registry import Entity, registry
from stack.live.rows import Row, reader
from stack.live.triggers import quote

Bound: TypeAlias = "list[Any] | None"
Window: TypeAlias = dict[str, Any]
Bounds: TypeAlias = Mapping[str, Mapping[str, Bound]]
"""Scope -> long type -> the lower bound the client holds, None for all."""

Windows: TypeAlias = tuple[Mapping[str, int], int]
"""How many of the newest a window holds of long types, each at least one: by scope, and for all other scopes."""

PAGE = 50


def read_snapshot(user_id: int, *, bounds: Bounds | None = None, windows: Windows | None = None) -> dict[str, Any]:
    """Everything a user sees now.

    Args:
        bounds: for scopes named here, the client's own lower bounds in place of the newest few.
        windows: how many the newest few are; without it as many as each type was registered with.

    Returns:
        The snapshot frame of the live protocol.
    """
    with repeatable_read(read_only=True) as cursor:
        return snapshot_in(cursor, user_id, bounds=bounds, windows=windows)


def snapshot_in(
    cursor: CursorWrapper, user_id: int, *, bounds: Bounds | None = None, windows: Windows | None = None
) -> dict[str, Any]:
    """As `read_snapshot`, in a transaction of the caller's that sees one state of the database."""
    head = read_head(cursor)
    scopes = read_windows(scopes_of(cursor, user_id), bounds=bounds, windows=windows)
    return {"type": "snapshot", "user": user_id, "epoch": head.epoch, "seq": head.seq, "scopes": scopes}


def read_scope(user_id: int, scope: str) -> dict[str, Any]:
    """One scope anew: ``{"epoch", "seq", "scope", "window"}``; the window is None if the user does not see it."""
    with repeatable_read(read_only=True) as cursor:
        head = read_head(cursor)
        window = read_windows([scope])[scope] if scope in scopes_of(cursor, user_id) else None
    return {"epoch": head.epoch, "seq": head.seq, "scope": scope, "window": window}


def read_page(user_id: int, scope: str, name: str, before: Sequence[Any]) -> dict[str, Any]:
    """Older entities of a long type: the page below ``before`` (order key, id) and the new lower bound.

    Returns:
        ``{"epoch", "seq", "scope", "entity", "items", "bound"}``; no items where the user does not see the scope.
    """
    entity = registry.entities.get(name)
    items: list[Any] = []
    bound: Bound = list(before)
    with repeatable_read(read_only=True) as cursor:
        head = read_head(cursor)
        values = entity.scope.parse(scope) if entity is not None and entity.window is not None else None
        if entity is not None and values is not None and scope in scopes_of(cursor, user_id):
            read, key = reader(entity), f"({quote(entity.order_column)}, {quote(entity.pk_column)})"
            rows = read.read(
                f"SELECT {read.select} FROM {quote(entity.table)} AS t "
                f"WHERE {_scope_clause(entity)} AND {key} < (%s, %s) "
                f"ORDER BY {quote(entity.order_column)} DESC, {quote(entity.pk_column)} DESC LIMIT %s",
                [*values, *before, PAGE + 1],
            )
            bound = rows[PAGE - 1].key if len(rows) > PAGE else None
            items = [row.data for row in reversed(rows[:PAGE]) if row.data is not None]
    return {
        "epoch": head.epoch,
        "seq": head.seq,
        "scope": scope,
        "entity": name,
        "items": items,
        "bound": bound,
    }


def read_windows(
    scopes: Collection[str], *, bounds: Bounds | None = None, windows: Windows | None = None
) -> dict[str, Window]:
    """The windows of scopes, with one query a type (two for long types), however many scopes there are."""
    read: dict[str, Window] = {scope: {"entities": {}, "bounds": {}} for scope in scopes}
    for entity in registry.entities.values():
        matching = {scope: values for scope in scopes if (values := entity.scope.parse(scope)) is not None}
        if not matching:
            continue
        if entity.window is None:
            found = _all(entity, matching)
        else:
            own = {s: bounds[s][entity.name] for s in matching if bounds and entity.name in bounds.get(s, {})}
            newest = {s: values for s, values in matching.items() if s not in own}
            found, limits = _newest(entity, newest, windows or ({}, entity.window))
            found |= _bounded(entity, {s: matching[s] for s in own}, own)
            for scope in matching:
                read[scope]["bounds"][entity.name] = own[scope] if scope in own else limits.get(scope)
        for scope in matching:
            read[scope]["entities"][entity.name] = found.get(scope, [])
    return read


def _all(entity: Entity, scopes: Mapping[str, tuple[str, ...]]) -> dict[str, list[Any]]:
    read = reader(entity)
    return _by_scope(
        read.read(
            f"SELECT {read.select} FROM {_scope_values(entity, scopes)} "
            f"JOIN {quote(entity.table)} AS t ON {_same_scope(entity)} ORDER BY t.{quote(entity.pk_column)}",
            [value for values in scopes.values() for value in (*values, None)],
        )
    )


def _newest(
    entity: Entity, scopes: Mapping[str, tuple[str, ...]], windows: Windows
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The newest rows of each scope, oldest first, and the bound of the scopes that have more."""
    if not scopes:
        return {}, {}
    read, order, pk = reader(entity), quote(entity.order_column), quote(entity.pk_column)
    counts = {scope: windows[0].get(scope, windows[1]) for scope in scopes}
    by_scope: dict[str, list[Row]] = defaultdict(list)
    for row in read.read(
        f"SELECT {read.select} FROM {_scope_values(entity, scopes)} CROSS JOIN LATERAL ("
        f"SELECT * FROM {quote(entity.table)} AS t WHERE {_same_scope(entity)} "
        f"ORDER BY {order} DESC, {pk} DESC LIMIT scope.most) AS t ORDER BY t.{order}, t.{pk}",
        # One more tells whether there are more.
        [value for scope, values in scopes.items() for value in (*values, counts[scope] + 1)],
    ):
        if row.scope is not None:
            by_scope[row.scope].append(row)
    bounds = {}
    for scope, found in by_scope.items():
        if len(found) > counts[scope]:
            del found[0]
            bounds[scope] = found[0].key
    return _by_scope(row for found in by_scope.values() for row in found), bounds


def _bounded(
    entity: Entity, scopes: Mapping[str, tuple[str, ...]], bounds: Mapping[str, Bound]
) -> dict[str, list[Any]]:
    if not scopes:
        return {}
    read, order, pk = reader(entity), quote(entity.order_column), quote(entity.pk_column)
    clauses, parameters = [], []
    for scope, values in scopes.items():
        bound = bounds[scope]
        clauses.append(f"({_scope_clause(entity)}" + (f" AND ({order}, {pk}) >= (%s, %s))" if bound else ")"))
        parameters += [*values, *(bound or ())]
    return _by_scope(
        read.read(
            f"SELECT {read.select} FROM {quote(entity.table)} AS t WHERE {' OR '.join(clauses)} ORDER BY {order}, {pk}",
            parameters,
        )
    )


def _by_scope(rows: Iterable[Row]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if row.scope is not None and row.data is not None:
            found[row.scope].append(row.data)
    return found


def _scope_clause(entity: Entity) -> str:
    return " AND ".join(f"{quote(entity.column(c))} = %s" for c in entity.scope.columns) or "TRUE"


def _scope_values(entity: Entity, scopes: Mapping[str, tuple[str, ...]]) -> str:
    row = ", ".join([*["%s"] * len(entity.scope.columns), "%s::bigint"])
    names = ", ".join([*(f"s{i}" for i in range(len(entity.scope.columns))), "most"])
    return f"(VALUES {', '.join([f'({row})'] * len(scopes))}) AS scope({names})"


def _same_scope(entity: Entity) -> str:
    # The values come as text; the column's own type decides, so that its index serves.
    columns = [entity.model._meta.get_field(c) for c in entity.scope.columns]
    return (
        " AND ".join(
            f"t.{quote(str(f.column))} = scope.s{i}::{f.db_type(connection)}"  # type: ignore[union-attr]
            for i, f in enumerate(columns)
        )
        or "TRUE"
    )
