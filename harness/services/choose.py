"""Which source each service comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from harness.services.types import Service, Source

Choice = Literal["auto", "url", "embedded"]
CHOICES: tuple[Choice, ...] = ("auto", "url", "embedded")


def choose(
    choice: Choice,
    *,
    environment: Mapping[str, str],
    url: Source,
    embedded: Callable[[], Source],
) -> tuple[Service, Service]:
    """Postgres and Redis. ``auto`` takes an address that the environment names, else a server of our own.

    ``embedded`` is only called if needed. Raises SourceUnusable if the chosen source has no such service.
    """
    own: list[Source] = []

    def pick(variable: str) -> tuple[Source, str]:
        if choice == "url" or (choice == "auto" and environment.get(variable)):
            return url, f"{variable} is set" if choice == "auto" else "asked for"
        if not own:
            own.append(embedded())
        return own[0], f"{variable} is not set" if choice == "auto" else "asked for"

    source, reason = pick("DATABASE_URL")
    database = source.postgres(reason=reason)
    source, reason = pick("REDIS_URL")
    return database, source.redis(reason=reason)
