"""Which source each service comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal

from harness.errors import SourceUnusable
from harness.services.types import Service, Source

Choice = Literal["auto", "url", "containers", "embedded"]
SERVICE_CHOICES: tuple[Choice, ...] = ("auto", "url", "containers", "embedded")


def choose(
    choice: Choice,
    *,
    environment: Mapping[str, str],
    url: Source,
    containers: Callable[[], tuple[Source, str]],
    embedded: Callable[[], Source],
) -> tuple[Service, Service]:
    """Postgres and Redis. ``auto`` takes an address that the environment names, else a container, else a server
    of our own.

    ``containers`` gives its source and why it can be used, or raises SourceUnusable; it and ``embedded`` are only
    called if needed, and once. Raises SourceUnusable if the chosen source has no such service.
    """
    embed = cache(embedded)

    @cache
    def contain() -> tuple[Source, str] | SourceUnusable:
        # A silent engine is waited for once, not for each service.
        try:
            return containers()
        except SourceUnusable as error:
            return error

    def pick(variable: str, take: Callable[[Source, str], Service]) -> Service:
        if choice == "url" or (choice == "auto" and environment.get(variable)):
            return take(url, f"{variable} is set" if choice == "auto" else "asked for")
        if choice == "embedded":
            return take(embed(), "asked for")
        try:
            found = contain()
            if isinstance(found, SourceUnusable):
                raise found
            source, why = found
            return take(source, "asked for" if choice == "containers" else why)
        except SourceUnusable as error:
            if choice == "containers":
                raise
            sentence = str(error).rstrip(".")
            return take(embed(), f"{variable} is not set, {sentence[0].lower()}{sentence[1:]}")

    return (
        pick("DATABASE_URL", lambda source, reason: source.postgres(reason=reason)),
        pick("REDIS_URL", lambda source, reason: source.redis(reason=reason)),
    )
