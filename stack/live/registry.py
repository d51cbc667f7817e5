"""What is live: entities, memberships and sign-in state, as the feature apps registered them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeAlias, cast

from django.db.models import Field, IntegerField, Model, QuerySet, UUIDField
from django.db.models.expressions import Col
from django.db.models.lookups import Lookup
from django.db.models.sql.where import WhereNode
from rest_framework.fields import DictField, FloatField, JSONField, ListField
from rest_framework.relations import PrimaryKeyRelatedField
from rest_framework.serializers import ModelSerializer

from stack.live.scopes import EVERYONE, USER, ScopeTemplate

AnyModel: TypeAlias = type[Model]
Row: TypeAlias = Mapping[str, Any]
Condition: TypeAlias = Mapping[str, Any]
Narrow: TypeAlias = Callable[[Row], Sequence[Condition]]

VIEWER = "viewer"


class LiveConfigurationError(Exception):
    """A registration that cannot work; raised while Django starts."""


def json_id(value: Any) -> int | str:
    """An entity's id as JSON has it: numbers stay, other keys are text."""
    return value if isinstance(value, int) else str(value)


def _target(field: Any) -> Any:
    """The field whose values a column holds: of a foreign key, the one it refers to."""
    return _target(field.target_field) if field.is_relation else field


@dataclass(frozen=True)
class Entity:
    """A live type: one model, how it is written and where its rows lie."""

    name: str
    model: AnyModel
    serializer: type[ModelSerializer[Any]]
    scope: ScopeTemplate
    window: int | None
    order: str

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def pk_column(self) -> str:
        return str(self.model._meta.pk.column)

    @property
    def order_column(self) -> str:
        return self.column(self.order)

    @cached_property
    def data_fields(self) -> dict[str, Field[Any, Any]]:
        """The serializer's fields and the columns they read.

        Raises:
            LiveConfigurationError: a field reads beyond its own row, so that its value could change without the row.
        """
        found: dict[str, Field[Any, Any]] = {}
        columns = {f.name: f for f in self.model._meta.concrete_fields}
        for name, serializer_field in self.serializer().fields.items():
            source = serializer_field.source
            if source not in columns:
                raise LiveConfigurationError(
                    f"{self.serializer.__name__}.{name} reads {source!r}, which is no column of {self.table}: "
                    "live data holds columns of its own row and ids only; derive the rest on the client"
                )
            if columns[source].is_relation and not isinstance(serializer_field, PrimaryKeyRelatedField):
                raise LiveConfigurationError(
                    f"{self.serializer.__name__}.{name} follows the relation {source!r}: "
                    "live data may hold the id only; use a PrimaryKeyRelatedField"
                )
            found[name] = columns[source]
        return found

    def problems(self) -> Iterator[str]:
        """What clients or triggers could not work with."""
        try:
            fields = self.data_fields
        except LiveConfigurationError as error:
            yield str(error)
            return
        meta = self.model._meta
        if self.serializer.to_representation is not ModelSerializer.to_representation:
            yield f"{self.serializer.__name__} writes its data in a way of its own: live data is written field by field"
        if meta.parents:
            yield f"{meta.label} inherits from a table: its own does not hold all of its columns"
        for name in self.scope.columns:
            if not isinstance(_target(meta.get_field(name)), (IntegerField, UUIDField)):
                yield f"{meta.label}.{name} cannot be part of a scope's name: use whole numbers or UUIDs"
        if self.window is not None:
            if self.order not in fields:
                yield f"{self.serializer.__name__} lacks {self.order!r}, by which clients order {self.name!r}"
            for name in (self.order, str(meta.pk.name)):
                if not isinstance(_target(meta.get_field(name)), IntegerField):
                    yield f"{meta.label}.{name} orders a long type: it must be a whole number"

    @cached_property
    def synced_columns(self) -> tuple[str, ...]:
        """Columns whose change makes an op: key, scope, order and data, each once."""
        names = [self.pk_column, *(self.column(c) for c in self.scope.columns), self.order_column]
        names += [str(f.column) for f in self.data_fields.values()]
        return tuple(dict.fromkeys(names))

    def column(self, name: str) -> str:
        """The database column of a field name or attribute name."""
        return str(self.model._meta.get_field(name).column)  # type: ignore[union-attr]

    @cached_property
    def columns_written(self) -> list[tuple[str, str, Callable[[Any], Any]]]:
        """Fields, the columns they read and how values but null are written: as the serializer would, in a third of
        the time. It would look its way through relations, which live data cannot have, for each row anew.
        """
        fields, columns = self.serializer().fields, self.data_fields
        return [
            (name, str(columns[name].column), _writer(field)) for name, field in fields.items() if not field.write_only
        ]


def _as_json(write: Callable[[Any], Any], value: Any) -> Any:
    written = write(value)
    json.dumps(written, allow_nan=False)
    return written


def _writer(field: Any) -> Callable[[Any], Any]:
    if isinstance(field, (FloatField, JSONField, ListField, DictField)):
        # What JSON has no word for would be refused by every client of the event that it came with.
        return partial(_as_json, field.to_representation)
    if not isinstance(field, PrimaryKeyRelatedField):
        return cast("Callable[[Any], Any]", field.to_representation)
    return json_id if field.pk_field is None else cast("Callable[[Any], Any]", field.pk_field.to_representation)


@dataclass(frozen=True)
class Membership:
    """A query that says which viewers are in which scopes."""

    key: str
    scope: ScopeTemplate
    queryset: QuerySet[Any, Any]
    narrow: Mapping[str, Narrow]
    """Table -> which part of the result a changed row of it can touch; other tables: all of it."""

    def sql(self) -> tuple[str, Sequence[Any]]:
        """``SELECT scope, viewer`` and its parameters; rows may repeat; ``q`` has the query's own columns."""
        inner, parameters = self.queryset.query.sql_with_params()
        name = self.scope.sql({column: f'q."{column}"' for column in self.scope.columns})
        return f'SELECT {name} AS scope, q."{VIEWER}"::bigint AS viewer FROM ({inner}) AS q', tuple(parameters)


@dataclass(frozen=True)
class SignIn:
    """Rows that let sockets stay open: when one is deleted or a column of it changes, they close."""

    model: AnyModel
    user: str
    session: str | None
    expires: str | None
    columns: tuple[str, ...]


@dataclass
class Registry:
    """Everything registered, by name."""

    entities: dict[str, Entity] = field(default_factory=dict)
    memberships: dict[str, Membership] = field(default_factory=dict)
    sign_ins: list[SignIn] = field(default_factory=list)
    signals: dict[str, list[ScopeTemplate]] = field(default_factory=dict)
    presences: list[ScopeTemplate] = field(default_factory=list)

    def has_signal(self, name: str, scope: str) -> bool:
        """Whether a signal of this name is one of such a scope."""
        return any(template.parse(scope) is not None for template in self.signals.get(name, ()))

    def has_moment(self, scope: str) -> bool:
        """Whether there is anything of the moment in such a scope."""
        return self.has_presence(scope) or any(self.has_signal(name, scope) for name in self.signals)

    def has_presence(self, scope: str) -> bool:
        """Whether those who hold such a scope are told who else is there."""
        return any(template.parse(scope) is not None for template in self.presences)

    def entities_of(self, scope: str) -> Iterator[Entity]:
        """The types that can lie in a scope of this name."""
        return (e for e in self.entities.values() if e.scope.parse(scope) is not None)

    @property
    def orders(self) -> dict[str, str]:
        """Long types and the field that they are ordered by, before their id."""
        return {e.name: e.order for e in self.entities.values() if e.window is not None}


registry = Registry()


def register(
    model: AnyModel,
    *,
    serializer: type[ModelSerializer[Any]],
    scope: str,
    window: int | None = None,
    order: str | None = None,
    name: str | None = None,
) -> None:
    """Make every change of a model's rows reach the viewers of their scope.

    Args:
        serializer: writes an entity's data; it may read columns of its own row and ids only.
        scope: its name, from the entity's own columns, such as ``"chat:{chat_id}"``.
        window: for long types, how many of the newest a client holds at first; None for all.
        order: the column that long types are ordered by, before their id; it should never change. The key if not given.
        name: the type's name in the protocol; the model's name in snake case if not given.

    Raises:
        LiveConfigurationError: the scope names no column of the model, or the name is taken.
    """
    template = _template(scope)
    name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.__name__).lower()
    attributes = {f.attname for f in model._meta.concrete_fields}
    if missing := set(template.columns) - attributes:
        raise LiveConfigurationError(f"{model.__name__} has no column {sorted(missing)} for its scope {scope!r}")
    if name in registry.entities:
        raise LiveConfigurationError(f"the live type {name!r} is registered twice")
    registry.entities[name] = Entity(name, model, serializer, template, window, order or str(model._meta.pk.name))


def membership(scope: str, queryset: QuerySet[Any, Any], *, narrow: Mapping[AnyModel, Narrow] | None = None) -> None:
    """Say who sees which scopes. Memberships of the same scope add up.

    Args:
        queryset: ``values()`` with the scope's columns and ``viewer``, the id of the user who sees it.
        narrow: for a model that the query reads, a function from a changed row (column -> value, before or after the
            change) to conditions on the query's output; the relay evaluates only where one of them holds. A condition
            maps all of the scope's columns, ``viewer``, or both. Queries of one table without joins narrow themselves.

    Raises:
        LiveConfigurationError: the query's columns do not fit the scope, or the scope is one of the implicit ones.
    """
    template = _template(scope)
    if template.kind in (USER, EVERYONE):
        raise LiveConfigurationError(f"the scope {scope!r} is implicit: it takes no membership")
    queryset = queryset.order_by()
    outputs = set(queryset.query.values_select) | set(queryset.query.annotations)
    if outputs != {*template.columns, VIEWER}:
        raise LiveConfigurationError(
            f"the membership of {scope!r} must give {[*template.columns, VIEWER]}, but gives {sorted(outputs)}"
        )
    by_table = {model._meta.db_table: fn for model, fn in (narrow or {}).items()} or _own_narrowing(queryset, template)
    number = sum(m.scope == template for m in registry.memberships.values())
    key = f"{template.text}#{number}"
    registry.memberships[key] = Membership(key, template, queryset, by_table)


def sign_in(
    model: AnyModel, *, user: str, session: str | None = None, expires: str | None = None, columns: Sequence[str] = ()
) -> None:
    """Close a user's sockets when a row that signs them in is deleted or changes.

    Args:
        user: the column that holds the user's id.
        session: the column that holds the session key, if the row is one session; else all of the user's sockets close.
        expires: the column that says when the session ends by itself; deleting it later than that closes nothing, so
            that clearing out old sessions is told to nobody. Bringing it forward by more than a minute, or to a time
            that is over, closes; putting it off does not.
        columns: those whose change counts, beside ``user`` and ``session``.
    """
    registry.sign_ins.append(SignIn(model, user, session, expires, tuple(columns)))


def signal(name: str, *, scope: str) -> None:
    """Let those who hold a scope tell each other something of the moment, such as ``"typing"``: never stored, and the
    first to be left out where there is much to do.

    Args:
        name: in snake case; the same one may be registered for several scopes.
        scope: such as ``"chat:{chat_id}"``.

    Raises:
        LiveConfigurationError: the name or the scope cannot be read.
    """
    if not re.fullmatch(r"[a-z][a-z_]*", name):
        raise LiveConfigurationError(f"{name!r} is no name of a signal: write it in snake case")
    registry.signals.setdefault(name, []).append(_template(scope))


def presence(scope: str) -> None:
    """Tell those who hold a scope who else has a socket that holds it: best effort, never stored.

    Args:
        scope: such as ``"chat:{chat_id}"``.

    Raises:
        LiveConfigurationError: the scope cannot be read.
    """
    registry.presences.append(_template(scope))


def _template(scope: str) -> ScopeTemplate:
    try:
        return ScopeTemplate(scope)
    except ValueError as error:
        raise LiveConfigurationError(str(error)) from error


def _own_narrowing(queryset: QuerySet[Any, Any], template: ScopeTemplate) -> Mapping[str, Narrow]:
    """Narrowing of a query whose every output is a plain column of its one table: the row's own pair."""
    query = queryset.query
    tables = [alias for alias in query.alias_map if query.alias_refcount[alias]]
    if len(tables) != 1 or query.distinct or query.is_sliced or query.group_by or not _plain(query.where):
        return {}
    meta = queryset.model._meta
    source: dict[str, str] = {}
    for output in (*template.columns, VIEWER):
        expression = query.annotations.get(output)
        if isinstance(expression, Col):
            source[output] = str(expression.target.column)
        elif expression is None:
            source[output] = str(meta.get_field(output).column)
        else:
            return {}
    return {meta.db_table: lambda row: [{output: row[column] for output, column in source.items()}]}


def _plain(condition: Any) -> bool:
    """Whether a WHERE looks at its own row alone: columns against values, no subquery, no raw SQL."""
    if isinstance(condition, WhereNode):
        return all(_plain(child) for child in condition.children)
    if not isinstance(condition, Lookup) or not isinstance(condition.lhs, Col):
        return False
    values = condition.rhs if isinstance(condition.rhs, (list, tuple, set)) else [condition.rhs]
    return not any(hasattr(value, "as_sql") or hasattr(value, "resolve_expression") for value in values)
