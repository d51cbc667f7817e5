"""``python -m harness.services.container SPEC``: a server in a container, as a process of the run.

The process starts the container, prints its log, ends with its exit code and stops it when asked to end. What
cannot be asked (kill, freeze) reaches the container through the engine; this process then sees it end.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import (
    DataUnusable,
    DiskFull,
    HarnessError,
    PlaceUnusable,
    ServiceDidNotStart,
    SourceUnusable,
)
from harness.services import postgres, valkey
from harness.services.credentials import Credentials

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

_CONFIGURATION = "/etc/tims-stack"
_GRACE = 5.0
_KILLED_BY = 128
# With these a launcher's last line is taken for a sentence; a container's is not one.
_SPOKEN_FOR = frozenset(
    error.exit_code for error in (DiskFull, DataUnusable, SourceUnusable, PlaceUnusable, ServiceDidNotStart)
)
_HBA = f"""local all postgres trust
host all {postgres.ROLE} all scram-sha-256
"""


@dataclass(frozen=True)
class Spec:
    """What to run, and where. Holds the path of the passwords, never a password.

    ``port`` is the one on loopback. ``folder`` is where the server works inside the container, on ``volume`` if
    that is not empty. ``cache`` is a folder of this machine.
    """

    service: Literal["postgres", "redis"]
    engine: str
    image: str
    name: str
    port: int
    credentials: str
    folder: str
    volume: str
    durable: bool
    labels: Mapping[str, str]
    volume_labels: Mapping[str, str]
    cache: str

    def to_argument(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


def prepare(spec: Spec) -> DockerContainer:
    """The container, not started yet; its volume is there and nobody else's."""
    from harness.containers.engine import client

    if spec.volume:
        with client(spec.engine) as engine:
            holders = engine.containers.list(filters={"volume": spec.volume})
            if holders:
                raise DataUnusable(
                    f"The data in the volume {spec.volume} are in use by the container {holders[0].name}.",
                    hint=f"End it (docker stop {holders[0].name}), then try again.",
                )
            engine.volumes.create(spec.volume, labels=dict(spec.volume_labels))
    _configure_library(spec)
    credentials = Credentials.load(Path(spec.credentials))
    made = _postgres(spec, credentials.postgres) if spec.service == "postgres" else _redis(spec, credentials.redis)
    if spec.volume:
        made.with_volume_mapping(spec.volume, spec.folder, "rw")
    return made


def _postgres(spec: Spec, password: str) -> DockerContainer:
    from testcontainers.community.postgres import PostgresContainer

    class Postgres(PostgresContainer):
        def _connect(self) -> None:
            """The supervisor asks the server itself whether it is ready."""

    # Forgotten at once: nobody signs in as the superuser.
    made = Postgres(
        spec.image, username="postgres", password=secrets.token_hex(24), dbname="postgres", **_options(spec)
    )
    made.ports = _on_loopback(5432, spec.port)
    made.with_env("PGDATA", f"{spec.folder}/postgres")
    made.with_env("POSTGRES_INITDB_ARGS", " ".join(_initdb(spec)))
    # Quiet first: a statement that fails is logged, and one of these holds the password.
    setup = (
        "SET log_min_error_statement = panic",
        f"{postgres.MAKE_ROLE} PASSWORD '{password}'",
        postgres.MAKE_DATABASE,
    )
    made.with_copy_into_container(
        "".join(f"{line};\n" for line in setup).encode(), "/docker-entrypoint-initdb.d/stack.sql"
    )
    made.with_copy_into_container(_HBA.encode(), f"{_CONFIGURATION}/pg_hba.conf")
    chosen = {**postgres.settings(durable=spec.durable), "hba_file": f"{_CONFIGURATION}/pg_hba.conf"}
    return made.with_command(["postgres", *postgres.arguments(chosen)])


def _initdb(spec: Spec) -> tuple[str, ...]:
    return (*postgres.LOCALE, "--set=timezone=UTC", *(() if spec.durable else ("--no-sync",)))


def _redis(spec: Spec, password: str) -> DockerContainer:
    from testcontainers.community.redis import RedisContainer

    made = RedisContainer(spec.image, working_dir=spec.folder, **_options(spec))
    # Its class would ask from here, for the password on a command line.
    made._wait_strategy = None
    made.ports = _on_loopback(6379, spec.port)
    lines = ("protected-mode no", *valkey.settings(spec.folder, password=password, durable=spec.durable))
    file = f"{_CONFIGURATION}/redis.conf"
    made.with_copy_into_container("".join(f"{line}\n" for line in lines).encode(), file)
    return made.with_command(["redis-server", file])


def _options(spec: Spec) -> dict[str, Any]:
    from docker.types import LogConfig

    return {
        "name": spec.name,
        "labels": dict(spec.labels),
        "shm_size": "256m",
        "security_opt": ["no-new-privileges"],
        # Whatever the engine's own driver is, its log can be read.
        "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "20m", "max-file": "2"}),
    }


def _on_loopback(inside: int, port: int) -> Any:
    # More than the library's own type knows, and all that the client it hands this to does.
    return {f"{inside}/tcp": ("127.0.0.1", port)}


def _configure_library(spec: Spec) -> None:
    """Nothing but the spec decides: not a properties file in the home folder, not another variable."""
    os.environ["DOCKER_HOST"] = spec.engine
    from testcontainers.core.config import ConnectionMode
    from testcontainers.core.config import testcontainers_config as settings

    from harness.containers import reaper

    settings.tc_properties.pop("tc.host", None)
    settings.hub_image_name_prefix = ""
    # Where this machine itself looks like a container the library would ask for ports at the bridge.
    settings.connection_mode_override = ConnectionMode.docker_host
    settings.ryuk_disabled = settings.ryuk_disabled or not reaper.start(spec.engine, Path(spec.cache))


class _Keeper:
    """Keeps one container: starts it, prints its log, stops it when this process is asked to end."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._container: DockerContainer | None = None
        self._asked: int | None = None

    def run(self) -> int:
        """The exit code of the container."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)
        from harness.containers import reaper

        made = prepare(self._spec)
        try:
            made.start()
            self._container = made
            if self._asked is not None:
                self._stop_aside()
            for piece in made.get_wrapped_container().logs(stream=True, follow=True):
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
            return made.wait()
        finally:
            with suppress(Exception):
                made.stop()
                reaper.stop()

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        # A start is never broken off in its midst: what the engine was making would be nobody's.
        first, self._asked = self._asked is None, number
        if first and self._container is not None:
            self._stop_aside()

    def _stop_aside(self) -> None:
        # The main thread goes on printing until the container has ended.
        threading.Thread(target=self._stop, name="stop", daemon=True).start()

    def _stop(self) -> None:
        from harness.containers import engine
        from harness.resources import Container

        container = Container(self._spec.name, self._spec.engine)
        try:
            # One that is frozen hears nothing.
            engine.signal(container, signal.SIGCONT)
            engine.signal(container, self._polite())
            with suppress(HarnessError), engine.client(self._spec.engine, timeout=_GRACE) as client:
                client.containers.get(container.name).wait(timeout=_GRACE)
                return
            engine.signal(container, signal.SIGKILL)
        except HarnessError as error:
            sys.stderr.write(f"{error}\n")

    def _polite(self) -> int:
        if self._spec.service == "redis":
            return signal.SIGTERM
        # Fast shutdown; without anything to keep the immediate one, which skips the checkpoint.
        return signal.SIGINT if self._spec.durable else signal.SIGQUIT


def main() -> None:
    """Entry point: ends as the container ended, or with the error's code and its sentence as the last line."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    spec = Spec(**json.loads(sys.argv[1]))
    try:
        try:
            code = _Keeper(spec).run()
        except (DockerException, RequestException, HTTPError) as error:
            trouble = getattr(error, "explanation", None) or error
            raise ServiceDidNotStart(f"The engine refused to run {spec.image}, or is gone: {trouble}") from error
    except HarnessError as error:
        sys.stderr.write(f"{error} {error.hint}".strip() + "\n")
        sys.exit(error.exit_code)
    if code > _KILLED_BY:
        # Ends as a server of this machine would have.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = code - _KILLED_BY
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        with suppress(OSError, ValueError):
            os.kill(os.getpid(), number)
    sys.exit(1 if code in _SPOKEN_FOR else code)


if __name__ == "__main__":
    main()
