"""A database session of one's own, for the commands that a pooler in between would break.

A pooler that gives each transaction another session ends the relay's lock with its first transaction, and mixes up what
a migration sets. ``LIVE_DATABASE_URL`` leads past it.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connections

_TAKEN = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS", "DISABLE_SERVER_SIDE_CURSORS")
_IDENTITY = "SELECT system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()) "
_IDENTITY += "FROM pg_control_system()"


def use_direct_database() -> None:
    """Let every thread of this process meet the database at ``LIVE_DATABASE_URL``, where that is set.

    Raises:
        CommandError: it leads to another database than ``DATABASE_URL``, as far as both answer.
    """
    if settings.LIVE_DATABASE is None:
        return
    entry = connections.settings[DEFAULT_DB_ALIAS]
    direct = {name: settings.LIVE_DATABASE[name] for name in _TAKEN if name in settings.LIVE_DATABASE}
    if direct.items() <= entry.items():
        return
    connection = connections[DEFAULT_DB_ALIAS]
    usual = _identity()
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # of Django's backend for Postgres
    before = {name: entry[name] for name in direct}
    # Connections of all threads are made from this one dictionary.
    entry.update(direct)
    found = _identity()
    if usual is not None and found is not None and usual != found:
        entry.update(before)
        raise CommandError(
            "LIVE_DATABASE_URL leads to another database than DATABASE_URL: it must be the same one, without a pooler."
        )


def _identity() -> tuple[Any, ...] | None:
    """Which database of which server answers; None if none does, which whoever needs it will be told of."""
    parameters = connections[DEFAULT_DB_ALIAS].get_connection_params()
    try:
        with psycopg.connect(**parameters) as connection:
            return connection.execute(_IDENTITY).fetchone()
    except psycopg.OperationalError:
        return None
