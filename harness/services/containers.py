"""Servers in containers of the engine that runs on this machine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness import locks
from harness.containers import leftovers
from harness.containers.engine import Engine, client, find_engine
from harness.containers.images import have_image
from harness.errors import DataUnusable
from harness.folders import Folders, digest, private_folder
from harness.ports import free_port
from harness.resources import Container, PostgresLogin, RedisPing, Resource
from harness.services import postgres
from harness.services.container import Spec
from harness.services.credentials import FILE, Credentials
from harness.services.types import Service

POSTGRES_IMAGE = "HARNESS_POSTGRES_IMAGE"
REDIS_IMAGE = "HARNESS_REDIS_IMAGE"
IMAGES = {POSTGRES_IMAGE: "postgres:18-alpine", REDIS_IMAGE: "redis:8-alpine"}

_Name = Literal["postgres", "redis"]


@dataclass(frozen=True, kw_only=True)
class ContainersSource:
    """Containers of ``run`` at ``engine``, passwords in ``secrets``. ``durable`` data lies in kept volumes.

    ``tell`` gets a sentence about what takes its time.
    """

    engine: Engine
    folders: Folders
    run: str
    secrets: Path
    credentials: Credentials = field(repr=False)
    durable: bool
    tell: Callable[[str], object]
    name: str = "containers"

    @classmethod
    def of_run(
        cls, folders: Folders, *, run: str, durable: bool, tell: Callable[[str], object] = print
    ) -> ContainersSource:
        """The source for a run; raises SourceUnusable without an engine, DataUnusable without the passwords."""
        engine = find_engine()
        secrets = private_folder(folders.data) if durable else folders.runs / run
        if durable and not (secrets / FILE).exists():
            _refuse_locked_data(engine, folders)
        with locks.holding(secrets / ".lock"):
            credentials = Credentials.load_or_make(secrets)
        return cls(
            engine=engine,
            folders=folders,
            run=run,
            secrets=secrets,
            credentials=credentials,
            durable=durable,
            tell=tell,
        )

    def postgres(self, *, reason: str) -> Service:
        """PostgreSQL in a container."""
        port = free_port()
        url = f"postgres://{postgres.ROLE}:{self.credentials.postgres}@127.0.0.1:{port}/{postgres.DATABASE}"
        spec = self._spec("postgres", POSTGRES_IMAGE, port)
        # The folder's name holds the run's id: another server that listens there has another one.
        readiness = PostgresLogin(url, data_folder=f"{spec.folder}/postgres")
        address = f"postgres://127.0.0.1:{port}/{postgres.DATABASE}"
        return Service("postgres", self.name, reason, url, self._resource(spec, readiness, address))

    def redis(self, *, reason: str) -> Service:
        """Redis in a container."""
        port = free_port()
        url = f"redis://:{self.credentials.redis}@127.0.0.1:{port}/0"
        spec = self._spec("redis", REDIS_IMAGE, port)
        readiness = RedisPing(url, own=False, folder=spec.folder)
        return Service("redis", self.name, reason, url, self._resource(spec, readiness, f"redis://127.0.0.1:{port}/0"))

    def _spec(self, service: _Name, variable: str, port: int) -> Spec:
        image = os.environ.get(variable) or IMAGES[variable]
        have_image(self.engine.address, image, variable=variable, tell=self.tell)
        leftovers.note(self.folders.runs / self.run, self.engine.address)
        own = leftovers.labels(self.run, self.folders)
        return Spec(
            service=service,
            engine=self.engine.address,
            image=image,
            name=f"{leftovers.PROJECT}-{self.run}-{service}",
            port=port,
            credentials=str(self.secrets / FILE),
            folder=f"/var/lib/{leftovers.PROJECT}/{self.run}",
            volume=self._volume(service),
            durable=self.durable,
            labels=own,
            volume_labels=leftovers.kept_labels(self.folders) if self.durable else own,
            cache=str(self.folders.cache / "containers"),
        )

    def _volume(self, service: _Name) -> str:
        if self.durable:
            return kept_volume(self.folders, service)
        # Redis comes back empty, so there is nothing to put anywhere.
        return f"{leftovers.PROJECT}-{self.run}-{service}" if service == "postgres" else ""

    def _resource(self, spec: Spec, readiness: PostgresLogin | RedisPing, address: str) -> Resource:
        return Resource(
            name=spec.service,
            kind="service",
            command=(sys.executable, "-m", "harness.services.container", spec.to_argument()),
            readiness=readiness,
            directory=str(self.folders.root),
            endpoints={spec.service: address},
            stop_signal=int(signal.SIGTERM),
            within=60.0,
            container=Container(name=spec.name, engine=spec.engine),
        )


def kept_volume(folders: Folders, service: _Name) -> str:
    """The name of the volume that keeps the checkout's data of a service."""
    return f"{leftovers.PROJECT}-{digest(str(folders.data))}-{service}"


def _refuse_locked_data(engine: Engine, folders: Folders) -> None:
    from docker.errors import NotFound

    name = kept_volume(folders, "postgres")
    with client(engine.address) as asked:
        try:
            asked.volumes.get(name)
        except NotFound:
            return
    raise DataUnusable(
        f"The passwords of the data in the volume {name} are missing.",
        hint=f"Restore {folders.data / FILE}, or remove the volume (docker volume rm {name}) to start with fresh data.",
    )
