"""Named states of the application's database, kept as template databases beside it.

A template carries the fingerprint of the code that prepared it as its comment, set before it gets its final
name: a template that exists is whole, and an outdated one is seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from harness.errors import StateFailed
from harness.resources import KeepState
from harness.stack.carrying import carry
from harness.stack.named import STATES, Carried

# Exists on every server and is nobody's application database.
_MAINTENANCE = "postgres"
_PAUSE = 0.01
_TURN_WITHIN = 60
"""Seconds to wait for another reset of the same database."""


def with_database(url: str, database: str) -> str:
    """The same server and login, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def database_of(url: str) -> str:
    """The name of the database in ``url``."""
    return urlsplit(url).path.strip("/")


def template_name(url: str, state: str) -> str:
    """The template database of a named state: ``stack_seeded``."""
    return f"{database_of(url)}_{state}"


@contextmanager
def alone(url: str) -> Iterator[None]:
    """One reset of a database at a time; raises StateFailed where another one takes too long."""
    with connected(with_database(url, _MAINTENANCE)) as connection:
        connection.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(f"{_TURN_WITHIN}s")))
        try:
            connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"reset of {database_of(url)}"])
        except psycopg.errors.LockNotAvailable:
            raise StateFailed(
                f"Another reset of this database has been at work for {_TURN_WITHIN} s.",
                hint="Try again when it is done.",
            ) from None
        yield


def is_empty(url: str) -> bool:
    """Whether the database has no table yet."""
    with connected(url) as connection:
        row = connection.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema'))"
        ).fetchone()
    return bool(row and row[0])


def keep(state: KeepState) -> None:
    """Clone the database as it is now; nobody may be connected to it. An older template is replaced."""
    with connected(with_database(state.url, _MAINTENANCE)) as connection:
        template = template_name(state.url, state.template)
        _replace(connection, template, source=database_of(state.url), fingerprint=state.fingerprint)


def is_current(state: KeepState) -> bool:
    """Whether the template exists and was prepared by this code."""
    with connected(with_database(state.url, _MAINTENANCE)) as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [template_name(state.url, state.template)],
        ).fetchone()
    return bool(row and row[0] == state.fingerprint)


def rebuild(state: KeepState, prepare: Callable[[str], None], *, base: str | None = None) -> None:
    """Make the template anew from an empty database, or from the kept state ``base``; ``prepare`` gets the URL."""
    template = template_name(state.url, state.template)
    draft = f"{template}_draft"
    source = "template0" if base is None else template_name(state.url, base)
    with connected(with_database(state.url, _MAINTENANCE)) as connection:
        drop(connection, draft)
        _execute(connection, "CREATE DATABASE {} TEMPLATE {}", draft, source)
        try:
            prepare(with_database(state.url, draft))
            with connected(with_database(state.url, draft)) as inside:
                # Each clone copies every page and begins with these statistics.
                inside.execute("VACUUM (FULL, ANALYZE)")
            _replace(connection, template, source=draft, fingerprint=state.fingerprint)
        finally:
            drop(connection, draft)


def restore(state: KeepState, *, carried: Sequence[Carried] = ()) -> None:
    """Put the application's database into the named state; ends every connection to it.

    Whenever this is interrupted, a whole database has the name: the old one or the new one. What it was before is
    left beside it for ``discard_old``.

    Args:
        carried: what goes from the old database into the new one.
    """
    database = database_of(state.url)
    fresh, old = f"{database}_next", f"{database}_old"
    with connected(with_database(state.url, _MAINTENANCE)) as connection:
        drop(connection, fresh, old)
        # The copy is made beside the old one: a copy that fails (a full disk) costs nothing.
        _execute(connection, "CREATE DATABASE {} TEMPLATE {}", fresh, template_name(state.url, state.template))
        with connected(state.url) as leaving, _emptying(state.url, spared=leaving.info.backend_pid):
            with connected(with_database(state.url, fresh)) as coming:
                carry(leaving, coming, carried)
            leaving.close()
            with connection.transaction():
                # This locks the database: newcomers wait, and find the new one when they come again.
                _execute(connection, "ALTER DATABASE {} RENAME TO {}", database, old)
                _execute(connection, "ALTER DATABASE {} RENAME TO {}", fresh, database)


def discard_old(state: KeepState) -> None:
    """Remove what the database was before the last ``restore``."""
    with connected(with_database(state.url, _MAINTENANCE)) as connection:
        drop(connection, f"{database_of(state.url)}_old")


def tidy(state: KeepState) -> None:
    """Remove the drafts and the old database that a killed reset has left."""
    database = database_of(state.url)
    templates = [template_name(state.url, name) for name in {*STATES, state.template}]
    with connected(with_database(state.url, _MAINTENANCE)) as connection:
        drop(connection, f"{database}_next", f"{database}_old")
        drop(connection, *(f"{template}_{draft}" for template in templates for draft in ("draft", "next")))


def _replace(connection: psycopg.Connection[Any], template: str, *, source: str, fingerprint: str) -> None:
    draft = f"{template}_next"
    drop(connection, draft)
    _execute(connection, "CREATE DATABASE {} TEMPLATE {}", draft, source)
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(draft), sql.Literal(fingerprint)))
    drop(connection, template)
    _execute(connection, "ALTER DATABASE {} RENAME TO {}", draft, template)


def drop(connection: psycopg.Connection[Any], *databases: str) -> None:
    """Remove databases that exist, and end our role's connections to them."""
    for database in databases:
        # Postgres' own WITH (FORCE) is refused where autovacuum is at work, which is not ours to end; without it the
        # server ends autovacuum itself.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user",
            [database],
        )
        _execute(connection, "DROP DATABASE IF EXISTS {}", database)


@contextmanager
def _emptying(url: str, *, spared: int) -> Iterator[None]:
    """Keep ending our role's connections to the database, as clients that lost theirs come back at once.

    Args:
        spared: the process id of the one session that may stay.
    """
    done = threading.Event()
    statement = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND usename = current_user AND pid <> %s"
    )

    def empty() -> None:
        # If this fails, the rename times out and says who is in the way.
        with suppress(StateFailed), connected(with_database(url, _MAINTENANCE)) as connection:
            while not done.is_set():
                connection.execute(statement, [database_of(url), spared])
                done.wait(_PAUSE)

    thread = threading.Thread(target=empty, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _execute(connection: psycopg.Connection[Any], statement: LiteralString, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session in which each statement stands for itself; raises StateFailed for whatever Postgres refuses."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise StateFailed(
            f"The database refused to keep or restore a named state: {reason}",
            hint="Look at it with: harness logs postgres",
        ) from error
