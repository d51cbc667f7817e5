"""What the drivers of the live protocol have in common: whom they connect to and as whom, and what can be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.live.connection import LiveConnection, State
from harness.live.store import LiveStore


class Driver:
    """A live client that reconnects until told otherwise.

    Args:
        url: ``ws://host/live``; read at every connect.
        origin: sent as the Origin header; servers refuse foreign ones.
        headers: read at every connect, so that a new session is used once there is one.

    Attributes:
        error: why the last connection ended, in words.
    """

    def __init__(
        self, url: str, connection: LiveConnection, *, origin: str, headers: Callable[[], Mapping[str, str]]
    ) -> None:
        self.url = url
        self.error: str | None = None
        self._connection = connection
        self._origin = origin
        self._headers = headers

    @property
    def store(self) -> LiveStore:
        """Look at it inside `read` or `wait`, or when nothing comes in."""
        return self._connection.store

    @property
    def state(self) -> State:
        return self._connection.state

    @property
    def resumes(self) -> int:
        return self._connection.resumes

    @property
    def snapshots(self) -> int:
        return self._connection.snapshots
