"""The proxies of one run: which there are, and the addresses that lead through them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

from harness.errors import SourceUnusable
from harness.faults.target import Target, to_argument
from harness.ports import free_port
from harness.resources import Notify, Resource
from harness.services.types import Service

NAME = "proxies"
_LOOPBACK = "127.0.0.1"
_DEFAULT_PORTS = {"postgres": 5432, "postgresql": 5432, "redis": 6379, "rediss": 6379}
_VARIABLES = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}
# What libpq is told in the query of a URL outranks the URL's own host and port.
_ELSEWHERE = ("host", "hostaddr", "port", "service")
_FALSE = frozenset({"0", "f", "false", "n", "no"})


@dataclass(frozen=True)
class Proxies:
    """One process with a proxy in front of each of ``targets``."""

    targets: tuple[Target, ...]

    def address(self, name: str) -> str:
        """Where the clients of a resource find it: ``127.0.0.1:20123``."""
        port = next(target.port for target in self.targets if target.name == name)
        return f"{_LOOPBACK}:{port}"

    def addresses(self) -> dict[str, str]:
        """All addresses by the names of the resources."""
        return {target.name: f"{_LOOPBACK}:{target.port}" for target in self.targets}

    def through(self, name: str, url: str) -> str:
        """``url`` with the address of the proxy in front of ``name``; credentials and the rest stay."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}{self.address(name)}"))

    def resource(self, root: Path) -> Resource:
        """The record of the process."""
        return Resource(
            name=NAME,
            kind="proxy",
            command=(sys.executable, "-u", "-m", "harness.faults.proxy", to_argument(self.targets)),
            readiness=Notify(),
            directory=str(root),
            grace=2.0,
            within=30.0,
            # It passes on what it is given. The keys to the data are none of its business.
            inherits=False,
        )


def proxies_for(
    services: Iterable[Service], servers: Mapping[str, tuple[int, int]], others: Iterable[Resource]
) -> Proxies:
    """A proxy for each service, each of ``servers`` (name: its proxy's port, its own) and those of ``others``
    that have an address.

    Raises SourceUnusable for a service whose URL cannot lead through a proxy, PortTaken.
    """
    targets = [_in_front_of(service) for service in services]
    targets += [Target(name, port, _LOOPBACK, own) for name, (port, own) in servers.items()]
    for resource in others:
        parts = urlsplit(resource.url or "")
        if parts.hostname and parts.port:
            targets.append(Target(resource.name, free_port(), parts.hostname, parts.port))
    return Proxies(tuple(targets))


def _in_front_of(service: Service) -> Target:
    parts = urlsplit(service.url)
    host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    variable = _VARIABLES[service.name]
    elsewhere = [name for name in _ELSEWHERE if service.name == "postgres" and name in query]
    if elsewhere or host.startswith(("/", "%")):
        where = f"with {elsewhere[0]}= in its query" if elsewhere else "as a unix socket"
        raise SourceUnusable(
            f"{variable} names its server {where}, so its clients would go around the proxy.",
            hint="Write it as scheme://user:password@host:port/name, or leave out --faults.",
        )
    # The proxy's address stands in no other server's certificate.
    if host != _LOOPBACK and (wish := _verifies_name(parts.scheme, query)):
        raise SourceUnusable(
            f"{variable} wants the server's name verified ({wish}), which the address of a proxy cannot pass.",
            hint=f"Leave out --faults, or set {_RELAXED[service.name]} in {variable}.",
        )
    return Target(service.name, free_port(), host, port)


_RELAXED = {"postgres": "sslmode=verify-ca", "redis": "ssl_check_hostname=false"}


def _verifies_name(scheme: str, query: Mapping[str, str]) -> str | None:
    """What in a URL makes clients compare the server's certificate with the host that they connect to."""
    if scheme in ("postgres", "postgresql"):
        if query.get("sslmode") == "verify-full":
            return "sslmode=verify-full"
        return "sslrootcert=system" if query.get("sslrootcert") == "system" else None
    if scheme != "rediss" or query.get("ssl_check_hostname", "").lower() in _FALSE:
        return None
    return None if query.get("ssl_cert_reqs", "").lower() in ("none", "cert_none") else "as rediss:// does by itself"
