"""Some hubs without I/O: sockets that keep what they are told, messages that may be lost, and a clock of the test's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from stack.live.connection import Connection
from stack.live.log import LogEntry, Position
from stack.live.prepared import Prepared
from stack.live.roster import Roster
from stack.live.signals import Signals


class FakeSocket:
    """What a hub needs of a connection."""

    def __init__(self, user: int) -> None:
        self.user = user
        self.session = "session"
        self.scopes: set[str] = set()
        self.waiting = 0
        self.frames: list[dict[str, Any]] = []

    def push(self, text: str | Prepared, *, counted: bool = True) -> None:
        self.frames.append(json.loads(text if isinstance(text, str) else text.text))

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The frames of a type."""
        return [frame for frame in self.frames if frame["type"] == kind]

    @property
    def present(self) -> dict[str, list[int]]:
        """Who is where, as the frames so far have it."""
        known: dict[str, list[int]] = {}
        for frame in self.of("presence"):
            known |= {scope: said["users"] for scope, said in frame["scopes"].items()}
        return known


class FakeHub:
    """A hub's roster and signals."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.at: Position | None = Position("e", 10)
        self.roster = Roster()
        self.signals = Signals(holders=self.roster.holders, position=lambda: self.at, clock=lambda: net.now)
        self.roster.watcher = self.signals
        self.cut = False

    def connects(self, user: int, *scopes: str) -> FakeSocket:
        socket = FakeSocket(user)
        self.roster.add(cast("Connection", socket), set(scopes))
        return socket

    def leaves(self, socket: FakeSocket) -> None:
        self.roster.remove(cast("Connection", socket))

    def says(self, socket: FakeSocket, scope: str, name: str = "typing") -> None:
        self.signals.signalled(cast("Connection", socket), scope, name)

    def follows(self, seq: int, user: int, op: str, scope: str) -> None:
        """The next event of the log: about who sees what."""
        assert self.at is not None
        self.roster.deliver(LogEntry(seq, f"user:{user}", 0, json.dumps([{"op": op, "scope": scope}]), control=True))
        self.at = Position(self.at.epoch, seq)

    def counts(self, scope: str) -> tuple[int, list[int]]:
        return self.signals.presences.of(scope)


class Net:
    """Hubs that hear each other.

    Args:
        lose: asked for each message and who is to hear it; whether it gets lost.
    """

    def __init__(self, count: int = 2, *, lose: Callable[[], bool] = lambda: False) -> None:
        self.now = 1000.0
        self.lose = lose
        self.messages: list[dict[str, Any]] = []
        self.hubs = [FakeHub(self) for _ in range(count)]
        self.passes(1)

    def joins(self) -> FakeHub:
        """One more hub starts."""
        hub = FakeHub(self)
        self.hubs.append(hub)
        return hub

    def passes(self, seconds: float) -> None:
        """Let time go by; everything happens when it is due."""
        end = self.now + seconds
        while (at := self._next) <= end:
            self.now = max(self.now, at)
            self._work()
        self.now = end

    @property
    def _next(self) -> float:
        due = [hub.signals.hubs_at for hub in self.hubs]
        due += [at for hub in self.hubs if (at := hub.signals.sockets_at) is not None]
        return min(due)

    def _work(self) -> None:
        for hub in self.hubs:
            hub.signals.tell_sockets()
            if (message := hub.signals.take_message()) is None:
                continue
            if hub.cut:
                hub.signals.failed()
                continue
            self.messages.append(message)
            self.tell(message)

    def tell(self, message: dict[str, Any]) -> None:
        for hub in self.hubs:
            if not hub.cut and not self.lose():
                hub.signals.receive(message)
