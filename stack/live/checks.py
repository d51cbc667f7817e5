"""System checks: what would make the live engine miss a change or show it to the wrong people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection
from django.db.utils import DatabaseError

from stack.live import installing
from stack.live.registry import registry


@register(Tags.models)
def check_entities(**_kwargs: Any) -> list[CheckMessage]:
    """Every live type can be captured, written and held."""
    return [
        Error(problem, obj=entity.model, id="live.E001")
        for entity in registry.entities.values()
        for problem in entity.problems()
    ]


_migrating: ContextVar[bool] = ContextVar("migrating", default=False)


@contextmanager
def while_migrating() -> Iterator[None]:
    """Triggers need not be in step yet: migrating is what brings them there."""
    token = _migrating.set(True)
    try:
        yield
    finally:
        _migrating.reset(token)


@register(Tags.database)
def check_triggers(*, databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """Every live table has its triggers, as this code wants them. Runs with ``check --database default``."""
    if _migrating.get() or not databases or "default" not in databases:
        return []
    if any(problem for entity in registry.entities.values() for problem in entity.problems()):
        # What cannot be captured has no triggers to compare, and is told by the check above.
        return []
    try:
        with connection.cursor() as cursor:
            found = installing.problems(cursor)
    except DatabaseError as error:
        first = str(error).partition("\n")[0]
        return [Error(f"The live triggers can't be checked: {first}", hint="Run: manage.py migrate", id="live.E002")]
    return [Error(problem, hint="Run: manage.py live install", id="live.E003") for problem in found]
