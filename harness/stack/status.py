"""What a supervisor tells about its run: the state of each resource, and what failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["waiting", "starting", "ready", "done", "stopping", "stopped", "exited", "failed"]
Phase = Literal["starting", "ready", "failed", "ending"]


@dataclass(frozen=True)
class ResourceStatus:
    """One resource now. ``pid`` is None while it does not run or if it runs elsewhere.

    ``code`` is the exit code of one that has ended (negative: the signal), ``seconds`` how long it took to
    become ready, ``log`` the path of its log.
    """

    name: str
    pid: int | None
    state: State
    url: str | None
    log: str
    code: int | None = None
    seconds: float | None = None

    @property
    def label(self) -> str:
        """The state for people: ``exited (1)``."""
        return f"{self.state} ({self.code})" if self.state in ("exited", "failed") else self.state

    def record(self) -> dict[str, Any]:
        """The public record: name, pid, state, url, log."""
        return {"name": self.name, "pid": self.pid, "state": self.label, "url": self.url, "log": self.log}


@dataclass(frozen=True)
class Failure:
    """Why a start failed. ``error`` is the name of a class of harness.errors, ``lines`` end its log."""

    error: str
    resource: str
    sentence: str
    hint: str
    lines: tuple[str, ...]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Failure:
        """The inverse of ``dataclasses.asdict`` after a trip through JSON."""
        return cls(**{**record, "lines": tuple(record["lines"])})


@dataclass(frozen=True)
class Snapshot:
    """A whole run at one moment."""

    run: str
    phase: Phase
    supervisor: int
    detached: bool
    resources: tuple[ResourceStatus, ...]
    failure: Failure | None = None
    reason: str = ""

    def resource(self, name: str) -> ResourceStatus | None:
        """The resource of that name, if there is one."""
        return next((status for status in self.resources if status.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Snapshot:
        """The inverse of ``to_json``."""
        fields = dict(record)
        failure = fields.get("failure")
        fields["resources"] = tuple(ResourceStatus(**status) for status in fields["resources"])
        fields["failure"] = Failure.from_json(failure) if failure else None
        return cls(**fields)
