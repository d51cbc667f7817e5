"""Services that run elsewhere already, named by DATABASE_URL and REDIS_URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.errors import SourceUnusable
from harness.resources import PostgresLogin, Readiness, RedisPing, Resource
from harness.services.types import Service

ANSWER_WITHIN = 15.0
"""Seconds that a server which should be up already has to answer."""


@dataclass(frozen=True)
class UrlSource:
    """Takes the addresses from ``environment``; checks that they answer, starts and stops nothing."""

    environment: Mapping[str, str]
    directory: str
    name: str = "url"

    def postgres(self, *, reason: str) -> Service:
        """Postgres at DATABASE_URL."""
        url = self._url("DATABASE_URL", ("postgres", "postgresql"))
        if not urlsplit(url).path.strip("/"):
            raise SourceUnusable(
                "DATABASE_URL names no database.", hint="Write it as postgres://user:password@host:port/name."
            )
        return self._service("postgres", url, reason, PostgresLogin(url))

    def redis(self, *, reason: str) -> Service:
        """Redis at REDIS_URL."""
        url = self._url("REDIS_URL", ("redis", "rediss"))
        return self._service("redis", url, reason, RedisPing(url, own=False))

    def _url(self, variable: str, schemes: tuple[str, ...]) -> str:
        url = self.environment.get(variable, "")
        if not url:
            raise SourceUnusable(
                f"The services were to come from URLs, but {variable} is not set.",
                hint=f"Set {variable}, or use --services embedded.",
            )
        try:
            parts = urlsplit(url)
            usable = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            # The value itself may hold a password, so it is not repeated.
            raise SourceUnusable(
                f"{variable} is not a {schemes[0]}:// URL with a host.",
                hint=f"Correct {variable}, or unset it to let the harness start its own server.",
            )
        return url

    def _service(self, name: str, url: str, reason: str, readiness: Readiness) -> Service:
        parts = urlsplit(url)
        address = f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
        resource = Resource(
            name=name,
            kind="service",
            command=(),
            readiness=readiness,
            directory=self.directory,
            endpoints={name: f"{parts.scheme}://{address}{parts.path}"},
            within=ANSWER_WITHIN,
        )
        return Service(name=name, source=self.name, reason=reason, url=url, resource=resource)
