"""What the stack runner starts, as plain frozen records that survive a trip through JSON."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["proxy", "service", "task", "process"]


@dataclass(frozen=True)
class PostgresLogin:
    """Ready when ``url`` lets us in and, if given, the server's data folder is ``data_folder``."""

    url: str
    data_folder: str | None = None
    type: Literal["postgres"] = "postgres"


@dataclass(frozen=True)
class RedisPing:
    """Ready when ``url`` lets us in; with ``own`` the server must be the very process that was started.

    If given, ``folder`` must be the one that the server works in.
    """

    url: str
    own: bool
    folder: str | None = None
    type: Literal["redis"] = "redis"


@dataclass(frozen=True)
class HttpReady:
    """Ready when ``url`` answers 200 with a JSON object whose ``run`` is this run's id."""

    url: str
    type: Literal["http"] = "http"


@dataclass(frozen=True)
class PageReady:
    """Ready when the renderer at ``url`` renders a page from page data and its answer names this run."""

    url: str
    type: Literal["page"] = "page"


@dataclass(frozen=True)
class Notify:
    """Ready when the child says so over its NOTIFY_SOCKET, naming this run."""

    type: Literal["notify"] = "notify"


@dataclass(frozen=True)
class Exit:
    """Done when the child ends with code 0."""

    type: Literal["exit"] = "exit"


Readiness = PostgresLogin | RedisPing | HttpReady | PageReady | Notify | Exit

_READINESS: dict[str, type[Readiness]] = {
    "postgres": PostgresLogin,
    "redis": RedisPing,
    "http": HttpReady,
    "page": PageReady,
    "notify": Notify,
    "exit": Exit,
}


@dataclass(frozen=True)
class KeepState:
    """After the task, if the database was empty before it: clone ``url``'s database as ``template``."""

    url: str
    template: str
    fingerprint: str


@dataclass(frozen=True)
class Container:
    """A container by its ``name``, at the engine with the address ``engine``."""

    name: str
    engine: str


@dataclass(frozen=True)
class Resource:
    """One thing of a run. An empty ``command`` means that it runs elsewhere and is only checked.

    ``environment`` comes on top of the supervisor's, of which one that does not ``inherits`` gets only what any
    program needs (PATH, HOME, LANG, LC_*, TMPDIR, TZ) and no secret. ``endpoints`` are addresses for people, without
    credentials. ``stop_signal`` asks politely; after ``grace`` seconds the whole process group is killed.
    ``within`` is the number of seconds it may take to become ready. Where the command stands for a ``container``,
    that is what is killed, stopped and continued.
    """

    name: str
    kind: Kind
    command: tuple[str, ...]
    readiness: Readiness
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    stop_signal: int = int(signal.SIGTERM)
    grace: float = 8.0
    within: float = 90.0
    inherits: bool = True
    keep_state: KeepState | None = None
    container: Container | None = None

    @property
    def url(self) -> str | None:
        """The address to show for it, if it has one."""
        return next(iter(self.endpoints.values()), None)

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Resource:
        """The inverse of ``to_json``."""
        fields = dict(record)
        readiness = dict(fields["readiness"])
        keep = fields.get("keep_state")
        container = fields.get("container")
        fields.update(
            command=tuple(fields["command"]),
            depends_on=tuple(fields["depends_on"]),
            readiness=_READINESS[readiness["type"]](**readiness),
            keep_state=KeepState(**keep) if keep else None,
            container=Container(**container) if container else None,
        )
        return cls(**fields)
