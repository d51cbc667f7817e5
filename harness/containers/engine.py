"""The container engine of this machine: where it listens, whether it answers, signals for its containers.

The client library takes a while to import: nobody pays for it who only looks whether there is an engine.
"""

from __future__ import annotations

import json
import os
import signal as signals
import socket
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.errors import HarnessError, SourceUnusable

if TYPE_CHECKING:
    from docker import DockerClient

    from harness.resources import Container

ANSWER_WITHIN = 2.0
"""Seconds that an engine has to say who it is."""
_ASKED_WITHIN = 30.0
_UNIX = "unix://"
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine that has answered."""

    address: str
    name: str
    version: str

    def __str__(self) -> str:
        """For people: what it is and where."""
        return f"{self.name} {self.version} answers at {self.address}"


def find_engine(environment: Mapping[str, str] | None = None, *, within: float = ANSWER_WITHIN) -> Engine:
    """The engine that DOCKER_HOST, a docker context or a usual socket leads to, all within ``within`` seconds.

    Raises SourceUnusable if none answers, or if it runs elsewhere: its ports are not on this loopback.
    """
    environment = os.environ if environment is None else environment
    deadline = time.monotonic() + within
    named = _named(environment)
    for address in (named,) if named else _usual(environment):
        if not _is_local(address):
            raise SourceUnusable(
                f"The container engine at {address} is on another machine.",
                hint="Let DOCKER_HOST name an engine of this machine, or use --services embedded.",
            )
        found = _ask(address, within=deadline - time.monotonic())
        if found is not None:
            return found
    sentence = f"No container engine answers at {named}." if named else "No container engine answers."
    raise SourceUnusable(sentence, hint="Start one (such as Docker), or use --services embedded.")


def is_there(address: str) -> bool:
    """Whether something listens where the engine did."""
    try:
        _connect(address, within=ANSWER_WITHIN).close()
    except OSError:
        return False
    return True


def is_gone(address: str) -> bool:
    """Whether an engine was one of a moment: the very folder of its socket is no more."""
    return address.startswith(_UNIX) and not Path(address.removeprefix(_UNIX)).parent.exists()


@contextmanager
def client(address: str, *, timeout: float = _ASKED_WITHIN) -> Generator[DockerClient]:
    """A client of the engine at ``address`` that waits ``timeout`` seconds for each answer.

    The engine's refusals and silences in the block become HarnessErrors.
    """
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        opened = docker.from_env(timeout=_whole(timeout), environment={**os.environ, "DOCKER_HOST": address})
        try:
            yield opened
        finally:
            opened.close()
    except (DockerException, RequestException, HTTPError, OSError) as error:
        trouble = getattr(error, "explanation", None) or error
        raise HarnessError(f"The container engine at {address} refused or was silent: {trouble}") from error


def signal(container: Container, number: int) -> None:
    """Kill, freeze (SIGSTOP) or continue all that runs in a container; one that is gone or so already is left so."""
    with client(container.engine) as engine, _unless_so_already():
        found = engine.containers.get(container.name)
        # An engine's answer to what is so already differs from one to the next.
        frozen = found.status == "paused"
        if number not in (signals.SIGSTOP, signals.SIGCONT):
            found.kill(signals.Signals(number).name)
        elif number == signals.SIGSTOP and not frozen:
            found.pause()
        elif number == signals.SIGCONT and frozen:
            found.unpause()


def remove(container: Container) -> None:
    """Remove a container, running or not, with the volumes that have no name; it need not be there."""
    with client(container.engine) as engine, _unless_so_already():
        engine.containers.get(container.name).remove(force=True, v=True)


@contextmanager
def _unless_so_already() -> Generator[None]:
    from docker.errors import APIError

    try:
        yield
    except APIError as error:
        # No such container, or it is paused, running or being removed as was asked for.
        if error.status_code not in (404, 409):
            raise


def _named(environment: Mapping[str, str]) -> str | None:
    """The address that was chosen by a variable or by `docker context use`."""
    if host := environment.get("DOCKER_HOST"):
        return host
    folder = Path(environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or "/") / ".docker")
    # Whatever cannot be read there chooses nothing.
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        name = environment.get("DOCKER_CONTEXT")
        name = name or json.loads((folder / "config.json").read_text(encoding="utf-8")).get("currentContext")
        if name and name != "default":
            meta = folder / "contexts" / "meta" / sha256(name.encode()).hexdigest() / "meta.json"
            return str(json.loads(meta.read_text(encoding="utf-8"))["Endpoints"]["docker"]["Host"])
    return None


def _usual(environment: Mapping[str, str]) -> tuple[str, ...]:
    folders = [environment.get("XDG_RUNTIME_DIR"), f"{environment.get('HOME') or ''}/.docker/run"]
    return (f"{_UNIX}/var/run/docker.sock", *(f"{_UNIX}{folder}/docker.sock" for folder in folders if folder))


def _is_local(address: str) -> bool:
    return address.startswith(_UNIX) or urlsplit(address).hostname in _LOCAL_HOSTS


def _ask(address: str, *, within: float) -> Engine | None:
    """Who answers at ``address``; None if nobody does in time."""
    # Asked by hand: the client's time-out is for each piece of an answer, and one that dribbles would take for ever.
    deadline = time.monotonic() + within
    told = b""
    try:
        with _connect(address, within=within) as connection:
            connection.sendall(b"GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n")
            while (left := deadline - time.monotonic()) > 0:
                connection.settimeout(left)
                if not (piece := connection.recv(65536)):
                    break
                told += piece
        answer: dict[str, Any] = json.loads(told.partition(b"\r\n\r\n")[2])
        name = "Podman" if "podman" in json.dumps(answer).lower() else "Docker"
        return Engine(address=address, name=name, version=str(answer["Version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _connect(address: str, *, within: float) -> socket.socket:
    """Raises OSError if nothing listens there."""
    if within <= 0:
        raise TimeoutError
    if not address.startswith(_UNIX):
        parts = urlsplit(address)
        return socket.create_connection((parts.hostname or "", parts.port or 2375), within)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(within)
        connection.connect(address.removeprefix(_UNIX))
    except BaseException:
        connection.close()
        raise
    return connection


def _whole(seconds: float) -> int:
    return max(1, round(seconds))
