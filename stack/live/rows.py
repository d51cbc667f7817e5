"""Rows of live types as the database gives them: read without making models of them, which would cost twice as much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from django.db import connection

from stack.live.registry import Entity, json_id
from stack.live.triggers import quote


@dataclass(frozen=True)
class Row:
    """An entity: the scope it lies in (None for none), what clients hold of it and where it stands."""

    scope: str | None
    data: dict[str, Any]
    key: list[Any]


class Reader:
    """Reads rows of one type.

    Attributes:
        select: the columns to select from the table ``t``, for `read`.
    """

    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        columns = entity.synced_columns
        self.select = ", ".join(f"t.{quote(column)}" for column in columns)
        at = {column: i for i, column in enumerate(columns)}
        fields = {str(field.column): field for field in entity.model._meta.concrete_fields}
        self._conversions = [
            (at[column], convert) for column in columns for convert in _conversions(entity, fields[column])
        ]
        self._id = at[entity.pk_column]
        self._order = at[entity.order_column]
        self._scope = [(column, at[entity.column(column)]) for column in entity.scope.columns]
        self._data = [(name, at[column], write) for name, column, write in entity.columns_written]

    def read(self, sql: str, parameters: Sequence[Any]) -> Iterator[Row]:
        """The rows of a query that selects `select`."""
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            found = cursor.fetchall()
        for values in found:
            row = list(values)
            for i, convert in self._conversions:
                row[i] = convert(row[i])
            data: dict[str, Any] = {"id": json_id(row[self._id])}
            for name, i, write in self._data:
                data[name] = None if row[i] is None else write(row[i])
            scope = self._entity.scope.name({column: row[i] for column, i in self._scope})
            yield Row(scope, data, [row[self._order], row[self._id]])


@cache
def reader(entity: Entity) -> Reader:
    """The one reader of a type."""
    return Reader(entity)


def _conversions(entity: Entity, field: Any) -> list[Callable[[Any], Any]]:
    """What Django makes of a column's values when it reads a model."""
    column = field.get_col(entity.table)
    converters = [*connection.ops.get_db_converters(column), *field.get_db_converters(connection)]
    return [partial(_convert, converter, column) for converter in converters]


def _convert(converter: Callable[..., Any], column: Any, value: Any) -> Any:
    return converter(value, column, connection)
