"""What the real stack consists of: every command, its environment, what it waits for."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.resources import Exit, HttpReady, KeepState, Notify, Resource
from harness.services.types import Service
from harness.stack import develop
from harness.stack.pages import Pages
from harness.stack.proxies import NAME as PROXIES
from harness.stack.proxies import Proxies

SERVICES = frozenset({"postgres", "redis"})
SCALABLE = ("backend", "relay", "worker", "renderer")
USERS_FILE = "users.json"
PREFERRED_PORT = 8000
SEEDED = "seeded"


@dataclass(frozen=True)
class Basis:
    """What the plan of one run rests on. ``ports`` are those of the backends, in order.

    Without ``pages`` nothing renders any. With ``develop`` every process starts anew when its code changes. With
    ``proxies`` whoever talks to a server does so through the one in front of it.
    """

    run: str
    root: Path
    folder: Path
    postgres: Service
    redis: Service
    secret_key: str
    ports: tuple[int, ...]
    pages: Pages | None = None
    develop: bool = False
    proxies: Proxies | None = None

    @property
    def renderers(self) -> tuple[str, ...]:
        """The names of the renderers."""
        return instances("renderer", len(self.pages.ports)) if self.pages else ()

    @property
    def direct(self) -> dict[str, str]:
        """Where the services themselves are, for those who look and mend while their proxies are broken."""
        return {"DATABASE_URL": self.postgres.url, "REDIS_URL": self.redis.url}

    @property
    def backends(self) -> tuple[str, ...]:
        """The origin of each backend, for people and clients."""
        names = instances("backend", len(self.ports))
        return tuple(
            f"http://{self.proxies.address(name) if self.proxies else f'127.0.0.1:{port}'}"
            for name, port in zip(names, self.ports, strict=True)
        )


def instances(kind: str, count: int) -> tuple[str, ...]:
    """The names of ``count`` resources of a kind: ``backend``, or ``backend-1``, ``backend-2``..."""
    return (kind,) if count == 1 else tuple(f"{kind}-{number}" for number in range(1, count + 1))


def environment(basis: Basis) -> dict[str, str]:
    """What every process of the stack, and ``manage.py``, gets on top of the harness's own environment."""
    own = (f"http://127.0.0.1:{port}" for port in basis.ports or (PREFERRED_PORT,))
    # A page may be asked for at either address, and is of that origin then.
    served = [urlsplit(base).port for base in dict.fromkeys((*basis.backends, *own))]
    origins = [f"http://{host}:{port}" for port in served for host in ("127.0.0.1", "localhost")]
    return {
        **basis.direct,
        "SECRET_KEY": basis.secret_key,
        "STACK_ENV": "development",
        "DJANGO_SETTINGS_MODULE": "stack.config.settings",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "APP_ORIGINS": ",".join(origins),
        "HARNESS_RUN": basis.run,
        "PYTHONUNBUFFERED": "1",
        **(basis.pages.environment() if basis.pages else {}),
        **_through_proxies(basis),
    }


def _through_proxies(basis: Basis) -> dict[str, str]:
    """What leads through the proxies, if there are any."""
    proxies = basis.proxies
    if proxies is None:
        return {}
    found = {
        # Who breaks the network may break the channel layer too.
        "LIVE_LOSSY": "1",
        "DATABASE_URL": proxies.through("postgres", basis.postgres.url),
        "REDIS_URL": proxies.through("redis", basis.redis.url),
    }
    if basis.renderers:
        found["RENDERER_URLS"] = ",".join(f"http://{proxies.address(name)}" for name in basis.renderers)
    return found


def resources(basis: Basis, scale: Mapping[str, int], wanted: frozenset[str] | None) -> tuple[Resource, ...]:
    """The records of a run. ``wanted`` names kinds (``backend``, ``prepare``...); None means all of them.

    The proxies, if there are to be any, are among them whatever is wanted.
    """
    shared = environment(basis)
    python = (sys.executable, "-u")
    first = (basis.proxies.resource(basis.root),) if basis.proxies else ()
    everything: list[tuple[str, Resource]] = [
        ("postgres", basis.postgres.resource),
        ("redis", basis.redis.resource),
        (
            "prepare",
            Resource(
                name="prepare",
                kind="task",
                command=(*python, "manage.py", "prepare", "--users", str(basis.folder / USERS_FILE)),
                readiness=Exit(),
                directory=str(basis.root),
                environment={**shared, **_signed("prepare")},
                depends_on=(PROXIES, "postgres", "redis"),
                within=180.0,
                # On somebody else's server a database more is made when it is asked for, not at every start.
                keep_state=seeded(basis) if basis.postgres.source != "url" else None,
            ),
        ),
    ]
    for name, port in zip(instances("backend", scale.get("backend", 1)), basis.ports, strict=False):
        everything.append(("backend", _backend(name, port, shared, basis)))
    if basis.pages:
        everything += [("renderer", record) for record in basis.pages.resources(basis.renderers, basis.root)]
    for name in instances("relay", scale.get("relay", 1)):
        relay = (*python, "manage.py", "live", "relay")
        everything.append(("relay", _notifying(name, relay, shared, basis)))
    for name in instances("worker", scale.get("worker", 1)):
        worker = (*python, "-m", "celery", "-A", "stack.config", "worker")
        # Workers share nothing but the queue: asking around for others would cost a second of every start.
        alone = ("--without-mingle", "--without-gossip")
        options = ("--concurrency", "2", "--loglevel", "INFO", "--hostname", f"{name}-{basis.run}@%h", *alone)
        everything.append(("worker", _notifying(name, (*worker, *options), shared, basis)))
    return (*first, *(record for kind, record in everything if wanted is None or kind in wanted))


def _signed(name: str) -> dict[str, str]:
    """What tells the database whose a session is; behind a proxy the client's port does not."""
    return {"PGAPPNAME": name}


def seeded(basis: Basis) -> KeepState:
    """The named state that ``prepare`` leaves."""
    return KeepState(url=basis.postgres.url, template=SEEDED, fingerprint=code_fingerprint(basis.root))


def _backend(name: str, port: int, shared: Mapping[str, str], basis: Basis) -> Resource:
    url = f"http://127.0.0.1:{port}"
    server = ("-m", "uvicorn", "stack.config.asgi:application", "--host", "127.0.0.1", "--port", str(port))
    sockets = ("--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--ws-max-size", "65536")
    # A client that has gone without a word is found by the second of these, in 40 s.
    pings = ("--ws-ping-interval", "20", "--ws-ping-timeout", "20")
    ends = develop.RELOADING if basis.develop else ("--timeout-graceful-shutdown", "10")
    rest = (*ends, "--lifespan", "on", "--no-server-header", "--no-proxy-headers")
    return Resource(
        name=name,
        kind="process",
        command=(sys.executable, "-u", *server, *sockets, *pings, *rest),
        readiness=HttpReady(f"{url}/readyz"),
        directory=str(basis.root),
        environment={**shared, **_signed(name)},
        endpoints={"http": url},
        depends_on=("prepare",),
        # Letting its sockets go takes up to 12 s, and then requests that are under way another 10.
        grace=25.0,
    )


def _notifying(name: str, command: tuple[str, ...], shared: Mapping[str, str], basis: Basis) -> Resource:
    return Resource(
        name=name,
        kind="process",
        command=develop.restarting(command) if basis.develop else command,
        readiness=Notify(),
        directory=str(basis.root),
        environment={**shared, **_signed(name)},
        depends_on=("prepare",),
    )


def code_fingerprint(root: Path) -> str:
    """A hash of all that may shape a prepared database: the backend's code without its tests, what it rests on.

    Coarse on purpose: a needless rebuild of the template costs seconds, a stale one costs trust.
    """
    found = hashlib.sha256()
    for file in sorted([*(root / "stack").rglob("*.py"), *(root / "requirements").glob("stack.txt")]):
        path = file.relative_to(root)
        if "tests" not in path.parts:
            found.update(str(path).encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:16]
