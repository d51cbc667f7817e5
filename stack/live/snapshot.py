"""Snapshots: a user's windows and the seq they stand at, read in one state of the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from django.db import connection
from django.db.models import Model, Q

from stack.live.db import repeatable_read
from stack.live.log import read_head
from stack.live.memberships import scopes_of
from stack.live.registry import Entity, registry
from stack.live.triggers import quote

Bound: TypeAlias = "list[Any] | None"
Window: TypeAlias = dict[str, Any]
Bounds: TypeAlias = Mapping[str, Mapping[str, Bound]]
"""Scope -> long type -> the lower bound the client holds, None for all."""

PAGE = 50


def read_snapshot(user_id: int, *, bounds: Bounds | None = None) -> dict[str, Any]:
    """Everything a user sees now.

    Args:
        bounds: for scopes named here, the client's own lower bounds in place of the newest few.

    Returns:
        The snapshot frame of the live protocol.
    """
    with repeatable_read(read_only=True) as cursor:
        head = read_head(cursor)
        windows = read_windows(scopes_of(cursor, user_id), bounds=bounds)
    return {"type": "snapshot", "user": user_id, "epoch": head.epoch, "seq": head.seq, "scopes": windows}


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
            key = f"({quote(entity.order_column)}, {quote(entity.pk_column)})"
            rows = list(
                entity.model._base_manager.raw(
                    f"SELECT * FROM {quote(entity.table)} WHERE {_scope_clause(entity)} AND {key} < (%s, %s) "
                    f"ORDER BY {quote(entity.order_column)} DESC, {quote(entity.pk_column)} DESC LIMIT %s",
                    [*values, *before, PAGE + 1],
                )
            )
            bound = order_key(entity, rows[PAGE - 1]) if len(rows) > PAGE else None
            items = [entity.data(row) for row in reversed(rows[:PAGE])]
    return {
        "epoch": head.epoch,
        "seq": head.seq,
        "scope": scope,
        "entity": name,
        "items": items,
        "bound": bound,
    }


def order_key(entity: Entity, instance: Model) -> list[Any]:
    """Where an entity of a long type stands: order key, then id."""
    return [getattr(instance, entity.order), instance.pk]


def read_windows(scopes: Collection[str], *, bounds: Bounds | None = None) -> dict[str, Window]:
    """The windows of scopes, with one query a type (two for long types), however many scopes there are."""
    windows: dict[str, Window] = {scope: {"entities": {}, "bounds": {}} for scope in scopes}
    for entity in registry.entities.values():
        matching = {scope: values for scope in scopes if (values := entity.scope.parse(scope)) is not None}
        if not matching:
            continue
        if entity.window is None:
            found = _all(entity, matching)
        else:
            own = {s: bounds[s][entity.name] for s in matching if bounds and entity.name in bounds.get(s, {})}
            newest = {s: values for s, values in matching.items() if s not in own}
            found, limits = _newest(entity, newest)
            found |= _bounded(entity, {s: matching[s] for s in own}, own)
            for scope in matching:
                windows[scope]["bounds"][entity.name] = own[scope] if scope in own else limits.get(scope)
        for scope in matching:
            windows[scope]["entities"][entity.name] = found.get(scope, [])
    return windows


def _all(entity: Entity, scopes: Mapping[str, tuple[str, ...]]) -> dict[str, list[Any]]:
    columns = entity.scope.columns
    condition = Q()
    if len(columns) == 1:
        condition = Q(**{f"{columns[0]}__in": [values[0] for values in scopes.values()]})
    else:
        for values in scopes.values():
            condition |= Q(**dict(zip(columns, values, strict=True)))
    return _by_scope(entity, entity.model._base_manager.filter(condition).order_by("pk"))


def _newest(entity: Entity, scopes: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The newest rows of each scope, oldest first, and the bound of the scopes that have more."""
    if not scopes:
        return {}, {}
    assert entity.window is not None
    order, pk = quote(entity.order_column), quote(entity.pk_column)
    rows = entity.model._base_manager.raw(
        f"SELECT row.* FROM {_scope_values(entity, scopes)} CROSS JOIN LATERAL ("
        f"SELECT * FROM {quote(entity.table)} AS t WHERE {_same_scope(entity)} "
        f"ORDER BY {order} DESC, {pk} DESC LIMIT {entity.window + 1}) AS row ORDER BY row.{order}, row.{pk}",
        [value for values in scopes.values() for value in values],
    )
    by_scope: dict[str, list[Model]] = defaultdict(list)
    for row in rows:
        if (scope := entity.scope_of(row)) is not None:
            by_scope[scope].append(row)
    bounds = {}
    for scope, found in by_scope.items():
        if len(found) > entity.window:
            del found[0]
            bounds[scope] = order_key(entity, found[0])
    return {scope: [entity.data(row) for row in found] for scope, found in by_scope.items()}, bounds


def _bounded(
    entity: Entity, scopes: Mapping[str, tuple[str, ...]], bounds: Mapping[str, Bound]
) -> dict[str, list[Any]]:
    if not scopes:
        return {}
    order, pk = quote(entity.order_column), quote(entity.pk_column)
    clauses, parameters = [], []
    for scope, values in scopes.items():
        bound = bounds[scope]
        clauses.append(f"({_scope_clause(entity)}" + (f" AND ({order}, {pk}) >= (%s, %s))" if bound else ")"))
        parameters += [*values, *(bound or ())]
    return _by_scope(
        entity,
        entity.model._base_manager.raw(
            f"SELECT * FROM {quote(entity.table)} WHERE {' OR '.join(clauses)} ORDER BY {order}, {pk}",
            parameters,
        ),
    )


def _by_scope(entity: Entity, rows: Iterable[Model]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if (scope := entity.scope_of(row)) is not None:
            found[scope].append(entity.data(row))
    return found


def _scope_clause(entity: Entity) -> str:
    return " AND ".join(f"{quote(entity.column(c))} = %s" for c in entity.scope.columns) or "TRUE"


def _scope_values(entity: Entity, scopes: Mapping[str, tuple[str, ...]]) -> str:
    if not entity.scope.columns:
        return "(SELECT) AS scope"
    rows = ", ".join("(" + ", ".join(["%s"] * len(entity.scope.columns)) + ")" for _ in scopes)
    names = ", ".join(f"s{i}" for i in range(len(entity.scope.columns)))
    return f"(VALUES {rows}) AS scope({names})"


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
