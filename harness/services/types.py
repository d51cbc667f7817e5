"""The one interface that every source of services has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.resources import Resource


@dataclass(frozen=True)
class Service:
    """Postgres or Redis as a run uses it: ``url`` holds the credentials, ``reason`` says why this source."""

    name: str
    source: str
    reason: str
    url: str
    resource: Resource


class Source(Protocol):
    """Where services come from. Nothing is started here: the supervisor starts ``Service.resource``."""

    @property
    def name(self) -> str:
        """``url``, ``embedded``..."""
        ...

    def postgres(self, *, reason: str) -> Service:
        """Postgres from this source; raises SourceUnusable if it has none."""
        ...

    def redis(self, *, reason: str) -> Service:
        """A Redis-compatible server from this source; raises SourceUnusable if it has none."""
        ...
