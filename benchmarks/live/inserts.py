"""What capturing changes costs a writer: the message table with its triggers, and the same table with them disabled."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

TABLE = "chat_message"
WITH, WITHOUT = "with triggers", "without triggers"
FIRST_NUMBER = 2_000_000_000
WARM_UP = 50


@dataclass(frozen=True, kw_only=True)
class Inserts:
    """One turn: seconds of one statement with many rows, and rows a second of one statement each."""

    kind: str
    bulk: float
    rate: float


def rounds(
    database: str, *, count: int, rows: int, singles: int, chat: int, writer: int, told: Callable[[Inserts], None]
) -> list[Inserts]:
    """Each round has a turn with and one without, in changing order; nothing else may write to the table meanwhile.

    Both kinds write committed rows of an existing chat; they and the outbox's are removed after each turn.
    """
    found = []
    with psycopg.connect(database, autocommit=True) as connection:
        for number in range(count):
            for kind in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
                with _triggers(connection, enabled=kind == WITH):
                    turn = Inserts(
                        kind=kind,
                        bulk=_bulk(connection, rows, chat, writer),
                        rate=_singles(connection, singles, chat, writer),
                    )
                _clean(connection)
                told(turn)
                found.append(turn)
    return found


def _bulk(connection: psycopg.Connection, rows: int, chat: int, writer: int) -> float:
    began = time.monotonic()
    connection.execute(
        "INSERT INTO chat_message (chat_id, sender_id, client_id, number, text)"
        " SELECT %s, %s, gen_random_uuid(), %s + n, 'lorem ipsum dolor sit amet' FROM generate_series(1, %s) n",
        (chat, writer, FIRST_NUMBER, rows),
    )
    return time.monotonic() - began


def _singles(connection: psycopg.Connection, count: int, chat: int, writer: int) -> float:
    began = 0.0
    for number in range(-WARM_UP, count):
        if number == 0:
            began = time.monotonic()
        connection.execute(
            "INSERT INTO chat_message (chat_id, sender_id, client_id, number, text)"
            " VALUES (%s, %s, gen_random_uuid(), %s, 'lorem ipsum dolor sit amet')",
            (chat, writer, FIRST_NUMBER - WARM_UP - 1 - number),
        )
    return count / (time.monotonic() - began)


@contextmanager
def _triggers(connection: psycopg.Connection, *, enabled: bool) -> Generator[None]:
    """The table's own live triggers; keys and constraints are checked either way."""
    if enabled:
        yield
        return
    names = connection.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", (TABLE,)
    ).fetchall()
    table = sql.Identifier(TABLE)
    for (name,) in names:
        connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(table, sql.Identifier(name)))
    try:
        yield
    finally:
        for (name,) in names:
            connection.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table, sql.Identifier(name)))


def _clean(connection: psycopg.Connection) -> None:
    with _triggers(connection, enabled=False):
        connection.execute("DELETE FROM chat_message WHERE number > %s", (FIRST_NUMBER // 2,))
    connection.execute("TRUNCATE live_outbox")
    connection.execute("VACUUM ANALYZE chat_message")
