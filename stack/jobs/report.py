"""What a user sees, counted: entities and their bytes as JSON, by type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from stack.live.memberships import scopes_of
from stack.live.registry import registry
from stack.live.snapshot import read_page, read_scope


@dataclass
class Report:
    """Counts so far: type -> entities, and their UTF-8 JSON in bytes."""

    types: dict[str, dict[str, int]] = field(
        default_factory=lambda: {name: {"count": 0, "bytes": 0} for name in sorted(registry.entities)}
    )

    def add(self, name: str, entities: Iterable[dict[str, Any]]) -> None:
        """Count entities of a type."""
        total = self.types[name]
        for entity in entities:
            total["count"] += 1
            total["bytes"] += len(json.dumps(entity, separators=(",", ":"), default=str).encode())


def data_report(user_id: int, report: Report) -> Iterator[float]:
    """Count all that a user sees into the report, scope by scope, long types to their beginning.

    Yields:
        How much is done, from 0 to 1, after each type of each scope.
    """
    with connection.cursor() as cursor:
        scopes = sorted(scopes_of(cursor, user_id))
    steps = [(scope, entity.name) for scope in scopes for entity in registry.entities_of(scope)]
    windows: dict[str, Any] = {}
    for done, (scope, name) in enumerate(steps, start=1):
        if scope not in windows:
            windows = {scope: read_scope(user_id, scope)["window"]}
        # None: the user has lost the scope since.
        if (window := windows[scope]) is not None:
            report.add(name, window["entities"].get(name, ()))
            bound = window["bounds"].get(name)
            while bound is not None:
                page = read_page(user_id, scope, name, bound)
                report.add(name, page["items"])
                bound = page["bound"] if page["items"] else None
        yield done / len(steps)
