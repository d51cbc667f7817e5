"""Names of scopes: where an entity lies and who sees it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

EVERYONE = "everyone"
USER = "user"

_TEMPLATE = re.compile(r"[a-z][a-z_]*(:\{[a-z_]+\})*")
_COLUMN = re.compile(r"\{([a-z_]+)\}")


def user_scope(user_id: int) -> str:
    """The scope that only this user sees; implicit, never a row of a membership."""
    return f"{USER}:{user_id}"


@dataclass(frozen=True)
class ScopeTemplate:
    """A pattern such as ``chat:{chat_id}``; the columns are those of the rows it names."""

    text: str

    def __post_init__(self) -> None:
        if not _TEMPLATE.fullmatch(self.text):
            raise ValueError(f"{self.text!r} is no scope: write it like 'chat:{{chat_id}}' or 'everyone'")

    @cached_property
    def kind(self) -> str:
        """What stands before the first colon."""
        return self.text.partition(":")[0]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(_COLUMN.findall(self.text))

    def name(self, values: Mapping[str, Any]) -> str | None:
        """The scope's name, or None where a column is null: such a row lies in no scope."""
        parts = [values[column] for column in self.columns]
        return None if None in parts else ":".join([self.kind, *map(str, parts)])

    def parse(self, name: str) -> tuple[str, ...] | None:
        """The columns' values as text, or None if the name is not of this template."""
        kind, *parts = name.split(":")
        return tuple(parts) if kind == self.kind and len(parts) == len(self.columns) else None

    def sql(self, columns: Mapping[str, str]) -> str:
        """An SQL expression for the name; ``columns`` maps this template's columns to quoted SQL columns."""
        return " || ".join([f"'{self.kind}'", *(f"':' || {columns[column]}::text" for column in self.columns)])
