"""Bringing the database's triggers in step with the code, and seeing whether they are."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.utils import OperationalError

from stack.live import probe, triggers
from stack.live.models import Outbox
from stack.live.registry import registry
from stack.live.triggers import PREFIX, Trigger, quote

_LOCK = 0x4C495649
_LOCK_TIMEOUT = "300ms"
"""Shorter than Postgres's ``deadlock_timeout``: where a writer and an installation wait for each other, this gives way.
Whoever writes to the table waits behind this for so long at most."""
_INSTALLED_WITHIN = 60.0
_PAUSE = 0.3
_LOCKED_OUT = ("55P03", "40P01")


@dataclass(frozen=True)
class Installed:
    """What stands in the database.

    Attributes:
        marks: (table, trigger) -> mark, empty where the trigger is disabled or its function was changed by hand, or
            looks for tables where others may put some.
        whole: all of it is what one installation left, whichever version of the code made it.
    """

    marks: dict[tuple[str, str], str]
    whole: bool


def read_installed(cursor: CursorWrapper) -> Installed:
    """One query, whatever is installed."""
    cursor.execute(
        """
        SELECT c.relname, t.tgname, t.tgenabled = 'A' AND p.prosecdef
            AND p.proconfig IS NOT DISTINCT FROM ARRAY['search_path=' || quote_ident(current_schema()) || ', pg_temp'],
            obj_description(t.oid, 'pg_trigger'),
            encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex'), obj_description('live_outbox'::regclass, 'pg_class')
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgname LIKE %s AND NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
        """,
        [PREFIX.replace("_", r"\_") + "%"],
    )
    marks: dict[tuple[str, str], str] = {}
    seal = ""
    for table, name, in_force, mark, source, seal in cursor.fetchall():  # noqa: B007 - the same in every row
        marks[table, name] = mark if in_force and mark and mark.endswith(f" {source}") else ""
    return Installed(marks, whole=all(marks.values()) and seal == _seal(marks))


def compare(wanted: Collection[Trigger], present: Installed) -> list[str]:
    """What is missing or stale, in words."""
    found = []
    for trigger in wanted:
        mark = present.marks.get((trigger.table, trigger.name))
        if mark is None:
            found.append(f"trigger {trigger.name} on {trigger.table} is missing")
        elif mark != trigger.mark:
            found.append(f"trigger {trigger.name} on {trigger.table} is stale or disabled")
    return found


def problems(cursor: CursorWrapper) -> list[str]:
    """What is missing, stale or left over; empty when every change is caught."""
    wanted, present = triggers.wanted(cursor), read_installed(cursor)
    left = present.marks.keys() - {(trigger.table, trigger.name) for trigger in wanted}
    found = compare(wanted, present)
    found += [f"trigger {name} on {table} is left over" for table, name in sorted(left)]
    return found + probe.problems(cursor)


def install() -> list[str]:
    """Bring the triggers in step with what is registered, and the probe's functions with them, while others write.

    Each table is changed in a transaction of its own and locked for a moment; those in step already are not locked.

    Returns:
        The names of the triggers and functions that were made, replaced or dropped.

    Raises:
        OperationalError: somebody did not let go of a table for a minute.
    """
    with connection.cursor() as cursor:
        wanted, present = triggers.wanted(cursor), read_installed(cursor)
    left = present.marks.keys() - {(trigger.table, trigger.name) for trigger in wanted}
    changed: list[str] = []
    for table in sorted({trigger.table for trigger in wanted} | {table for table, _ in left}):
        mine = [t for t in wanted if t.table == table and present.marks.get((table, t.name)) != t.mark]
        gone = [name for other, name in sorted(left) if other == table]
        if mine or gone:
            _patiently(partial(_change, table, mine, gone))
            changed += [*(trigger.name for trigger in mine), *gone]
    changed += _patiently(_finish)
    return changed


def install_after_migrate(**_kwargs: Any) -> None:
    """Receiver of ``post_migrate``; while only some apps are migrated it waits for the rest."""
    present = set(connection.introspection.table_names())
    needed = {entity.table for entity in registry.entities.values()} | {Outbox._meta.db_table}
    needed |= {model._meta.db_table for m in registry.memberships.values() for model in [m.queryset.model]}
    if needed <= present:
        install()


def _change(table: str, made: Collection[Trigger], gone: Collection[str]) -> list[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        _begin(cursor)
        # At once as strong as it is going to be: a lock that grows is what writers would meet half way.
        cursor.execute(f"LOCK TABLE {quote(table)} IN {'ACCESS' if gone else 'SHARE ROW'} EXCLUSIVE MODE")
        for trigger in made:
            for statement in trigger.statements(trigger.mark):
                cursor.execute(statement)
        for name in gone:
            cursor.execute(f"DROP TRIGGER {quote(name)} ON {quote(table)}")
            cursor.execute(f"DROP FUNCTION IF EXISTS {quote(name)}()")
    return []


def _finish() -> list[str]:
    """The probe's functions, and the seal that says that all of this belongs together."""
    with transaction.atomic(), connection.cursor() as cursor:
        _begin(cursor)
        changed = probe.install(cursor)
        present = read_installed(cursor)
        if not present.whole:
            cursor.execute(f"COMMENT ON TABLE {quote(Outbox._meta.db_table)} IS '{_seal(present.marks)}'")
    return changed


def _begin(cursor: CursorWrapper) -> None:
    # One installation after the other: two would meet in the same functions.
    cursor.execute("SELECT pg_advisory_xact_lock(%s), set_config('lock_timeout', %s, true)", [_LOCK, _LOCK_TIMEOUT])


def _patiently(change: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + _INSTALLED_WITHIN
    while True:
        try:
            return change()
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _LOCKED_OUT or time.monotonic() > deadline:
                raise
        # Whoever waited behind this goes first.
        time.sleep(random.uniform(_PAUSE / 2, _PAUSE))  # noqa: S311 - no secret


def _seal(marks: dict[tuple[str, str], str]) -> str:
    parts = sorted(f"{table} {name} {mark}" for (table, name), mark in marks.items())
    return f"Sealed by live install: {hashlib.sha256('|'.join(parts).encode()).hexdigest()}"
