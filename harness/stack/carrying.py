"""What goes from one database into another while a named state is restored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from harness.stack.named import Carried

Connection = psycopg.Connection[Any]


def carry(old: Connection, new: Connection, carried: Sequence[Carried]) -> None:
    """Copy rows whose owner is the same in both databases; ``new`` holds none of them yet.

    The tables stay locked against writers until the caller lets ``old`` go: what is written behind this copy would
    be lost, and what is deleted would be back. Where other code made the tables of either database, nothing is copied.
    """
    for rows in carried:
        columns = _columns(old, rows.table)
        if not columns or columns != _columns(new, rows.table):
            continue
        needed = {"id", *rows.same}
        if not (needed <= set(_columns(old, rows.owners)) and needed <= set(_columns(new, rows.owners))):
            continue
        _copy(old, new, rows, columns)


def _copy(old: Connection, new: Connection, rows: Carried, columns: Sequence[str]) -> None:
    table, owners = sql.Identifier(rows.table), sql.Identifier(rows.owners)
    compared = [sql.Identifier(column) for column in dict.fromkeys(("id", *rows.same))]
    listed = sql.SQL(", ").join(sql.SQL("{}::text").format(column) for column in compared)
    present = new.execute(sql.SQL("SELECT {} FROM {}").format(listed, owners)).fetchall()
    if not present:
        return
    # A copy takes no parameters, so the server checks the values before they become part of one.
    values = sql.SQL(", ").join(
        sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, person))) for person in present
    )
    read = sql.SQL("COPY (SELECT {} FROM {} r JOIN {} o ON o.id = r.{} WHERE ({}) IN ({})) TO STDOUT").format(
        sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(column)) for column in columns),
        table,
        owners,
        sql.Identifier(rows.owner),
        sql.SQL(", ").join(sql.SQL("o.{}::text").format(column) for column in compared),
        values,
    )
    write = sql.SQL("COPY {} ({}) FROM STDIN").format(table, sql.SQL(", ").join(map(sql.Identifier, columns)))
    # In the session's own transaction, which nobody ends before the connection is let go.
    old.execute("BEGIN")
    old.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(table))
    with old.cursor().copy(read) as source, new.cursor().copy(write) as sink:
        for block in source:
            sink.write(block)


def _columns(connection: Connection, table: str) -> list[str]:
    found = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attname",
        [table],
    )
    return [name for (name,) in found.fetchall()]
