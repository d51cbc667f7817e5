"""Rows of live types as the database gives them: read without making models of them, which would cost twice as much."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from stack.live.registry import Entity, json_id
from stack.live.triggers import quote

logger = logging.getLogger(__name__)

_MOST_TOLD = 1000


@dataclass(frozen=True)
class Row:
    """An entity: the scope it lies in (None for none), what clients hold of it and where it stands.

    A value may be one that Python has nothing for, such as a date of infinity. Such a row has no data: clients hold
    nothing of it, as if it were not there, and all others are read.
    """

    scope: str | None
    data: dict[str, Any] | None
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
        self._parsers = [fields[column].to_python for column in columns]
        self._told: set[Any] = set()

    def read(self, sql: str, parameters: Sequence[Any]) -> list[Row]:
        """The rows of a query that selects `select`."""
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            try:
                return [self._row(values) for values in cursor.fetchall()]
            except Exception:
                # All of them are here, and the transaction knows nothing of it.
                return [self._one(cursor, number) for number in range(cursor.rowcount)]

    def _row(self, values: Sequence[Any]) -> Row:
        row = list(values)
        for i, convert in self._conversions:
            row[i] = convert(row[i])
        data: dict[str, Any] = {"id": json_id(row[self._id])}
        for name, i, write in self._data:
            data[name] = None if row[i] is None else write(row[i])
        scope = self._entity.scope.name({column: row[i] for column, i in self._scope})
        return Row(scope, data, [row[self._order], row[self._id]])

    def _one(self, cursor: CursorWrapper, number: int) -> Row:
        try:
            cursor.scroll(number, "absolute")
            return self._row(cursor.fetchone())
        except Exception as error:
            row = self._without_data(cursor.pgresult, number)
            key = row.key[1]
            if key not in self._told and len(self._told) < _MOST_TOLD:
                # Once, however often it is read.
                self._told.add(key)
                logger.error("live: %s %s is left out, it cannot be written", self._entity.name, key, exc_info=error)
            return row

    def _without_data(self, result: Any, number: int) -> Row:
        """Where a row lies and stands, from the text that the database sent."""

        def value(at: int) -> Any:
            text = result.get_value(number, at)
            return None if text is None else self._parsers[at](text.decode())

        scope = self._entity.scope.name({column: value(i) for column, i in self._scope})
        return Row(scope, None, [value(self._order), value(self._id)])


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
