"""Servers of our own, from wheels: nothing needs to be installed on the machine."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness import locks
from harness.errors import DataUnusable, SourceUnusable
from harness.folders import Folders
from harness.ports import free_port
from harness.resources import PostgresLogin, RedisPing, Resource
from harness.services import postgres, valkey
from harness.services.account import server_account, throwaway_folder, usable_folder
from harness.services.credentials import FILE, Credentials
from harness.services.launch import Launch
from harness.services.types import Service


@dataclass(frozen=True)
class EmbeddedSource:
    """Data in ``folder``, passwords in ``secrets``. ``durable`` data survives crashes and is kept."""

    folders: Folders
    folder: Path
    secrets: Path
    credentials: Credentials
    durable: bool
    name: str = "embedded"

    @classmethod
    def throwaway(cls, folders: Folders, *, run: str) -> EmbeddedSource:
        """Fast servers whose data goes with the run."""
        secrets = folders.runs / run
        folder = throwaway_folder(run, server_account(), root=folders.root)
        return cls(folders, folder, secrets, Credentials.load_or_make(secrets), durable=False)

    @classmethod
    def kept(cls, folders: Folders) -> EmbeddedSource:
        """Servers whose data survives the run."""
        folder = _data_folder(folders)
        with locks.holding(folders.data / ".lock"):
            if (folder / "postgres").exists() and not (folders.data / FILE).exists():
                raise DataUnusable(
                    f"The passwords of the data in {folder} are missing.",
                    hint=f"Restore {folders.data / FILE}, or move the data away to start with fresh data.",
                )
            credentials = Credentials.load_or_make(folders.data)
        return cls(folders, folder, folders.data, credentials, durable=True)

    @classmethod
    def refuse_to_leave(cls, folders: Folders) -> None:
        """Raises SourceUnusable if the checkout's data is kept here: elsewhere it would seem to be gone."""
        if folders.data.exists() and (_data_folder(folders) / "postgres").exists():
            raise SourceUnusable(
                f"The kept data is embedded, in {_data_folder(folders)}.",
                hint="Ask for containers with --services containers.",
            )

    def postgres(self, *, reason: str) -> Service:
        """An embedded PostgreSQL."""
        postgres.version()
        port = free_port()
        url = f"postgres://{postgres.ROLE}:{self.credentials.postgres}@127.0.0.1:{port}/{postgres.DATABASE}"
        resource = self._resource(
            "postgres",
            port,
            PostgresLogin(url, data_folder=str(self.folder / "postgres")),
            f"postgres://127.0.0.1:{port}/{postgres.DATABASE}",
            # Fast shutdown; without anything to keep the immediate one, which skips the checkpoint.
            stop_signal=int(signal.SIGINT if self.durable else signal.SIGQUIT),
        )
        return Service("postgres", self.name, reason, url, resource)

    def redis(self, *, reason: str) -> Service:
        """An embedded Valkey."""
        valkey.version()
        port = free_port()
        url = f"redis://:{self.credentials.redis}@127.0.0.1:{port}/0"
        resource = self._resource(
            "redis",
            port,
            RedisPing(url, own=True),
            f"redis://127.0.0.1:{port}/0",
            stop_signal=int(signal.SIGTERM),
        )
        return Service("redis", self.name, reason, url, resource)

    def _resource(
        self,
        name: Literal["postgres", "redis"],
        port: int,
        readiness: PostgresLogin | RedisPing,
        address: str,
        *,
        stop_signal: int,
    ) -> Resource:
        launch = Launch(
            service=name,
            folder=str(self.folder),
            credentials=str(self.secrets / FILE),
            port=port,
            durable=self.durable,
            cache=str(self.folders.cache),
            root=str(self.folders.root),
        )
        return Resource(
            name=name,
            kind="service",
            command=(sys.executable, "-m", "harness.services.launch", launch.to_argument()),
            readiness=readiness,
            directory=str(self.folders.root),
            endpoints={name: address},
            stop_signal=stop_signal,
            within=60.0,
        )


def _data_folder(folders: Folders) -> Path:
    return usable_folder(folders.data, server_account(), root=folders.root)
