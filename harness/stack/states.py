"""Named states of the application's database, kept as template databases beside it.

A template carries the fingerprint of the code that prepared it as its comment, set before it gets its final
name: a template that exists is whole, and an outdated one is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from harness.errors import StateFailed
from harness.resources import KeepState

# Exists on every server and is nobody's application database.
_MAINTENANCE = "postgres"


def with_database(url: str, database: str) -> str:
    """The same server and login, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def database_of(url: str) -> str:
    """The name of the database in ``url``."""
    return urlsplit(url).path.strip("/")


def template_name(url: str, state: str) -> str:
    """The template database of a named state: ``stack_seeded``."""
    return f"{database_of(url)}_{state}"


def is_empty(url: str) -> bool:
    """Whether the database has no table yet."""
    with _connect(url) as connection:
        row = connection.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema'))"
        ).fetchone()
    return bool(row and row[0])


def keep(state: KeepState) -> None:
    """Clone the database as it is now; nobody may be connected to it. An older template is replaced."""
    with _connect(with_database(state.url, _MAINTENANCE)) as connection:
        template = template_name(state.url, state.template)
        _replace(connection, template, source=database_of(state.url), fingerprint=state.fingerprint)


def is_current(state: KeepState) -> bool:
    """Whether the template exists and was prepared by this code."""
    with _connect(with_database(state.url, _MAINTENANCE)) as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [template_name(state.url, state.template)],
        ).fetchone()
    return bool(row and row[0] == state.fingerprint)


def rebuild(state: KeepState, prepare: Callable[[str], None]) -> None:
    """Make the template anew from an empty database, for which ``prepare`` gets the URL."""
    template = template_name(state.url, state.template)
    draft = f"{template}_draft"
    with _connect(with_database(state.url, _MAINTENANCE)) as connection:
        _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", draft)
        _execute(connection, "CREATE DATABASE {} TEMPLATE template0", draft)
        try:
            prepare(with_database(state.url, draft))
            _replace(connection, template, source=draft, fingerprint=state.fingerprint)
        finally:
            _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", draft)


def restore(state: KeepState) -> None:
    """Put the application's database into the named state; ends every connection to it."""
    database = database_of(state.url)
    fresh = f"{database}_next"
    with _connect(with_database(state.url, _MAINTENANCE)) as connection:
        _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", fresh)
        # The copy is made beside the old one: a copy that fails (a full disk) costs nothing.
        _execute(connection, "CREATE DATABASE {} TEMPLATE {}", fresh, template_name(state.url, state.template))
        _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", database)
        _execute(connection, "ALTER DATABASE {} RENAME TO {}", fresh, database)


def _replace(connection: psycopg.Connection[Any], template: str, *, source: str, fingerprint: str) -> None:
    draft = f"{template}_next"
    _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", draft)
    _execute(connection, "CREATE DATABASE {} TEMPLATE {}", draft, source)
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(draft), sql.Literal(fingerprint)))
    _execute(connection, "DROP DATABASE IF EXISTS {} WITH (FORCE)", template)
    _execute(connection, "ALTER DATABASE {} RENAME TO {}", draft, template)


def _execute(connection: psycopg.Connection[Any], statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def _connect(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise StateFailed(
            f"The database refused to keep or restore a named state: {reason}",
            hint="Look at it with: harness logs postgres",
        ) from error
