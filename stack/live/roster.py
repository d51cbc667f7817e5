"""Which sockets hold which scopes, and giving them their events."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from typing import Protocol, TypeVar

from stack.live import frames
from stack.live.connection import Connection
from stack.live.frames import Close
from stack.live.log import LogEntry
from stack.live.prepared import Prepared

K = TypeVar("K")


class Watcher(Protocol):
    """Is told of every scope that a socket takes or loses, and of what the log says of access, whoever is connected."""

    def held(self, socket: Connection, scope: str) -> None: ...

    def dropped(self, socket: Connection, scope: str) -> None: ...

    def removed(self, socket: Connection) -> None: ...

    def left(self, user: int, scope: str, seq: int) -> None: ...

    def entered(self, user: int, scope: str) -> None: ...


class Roster:
    """The sockets of one process, by scope and by user.

    Attributes:
        watcher: is told who comes and goes, if there is one.
    """

    def __init__(self) -> None:
        self.watcher: Watcher | None = None
        self._by_scope: dict[str, set[Connection]] = defaultdict(set)
        self._by_user: dict[int, set[Connection]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._by_user.values()))

    def sockets(self) -> list[Connection]:
        return [socket for sockets in self._by_user.values() for socket in sockets]

    def add(self, socket: Connection, scopes: set[str]) -> None:
        self._by_user[socket.user].add(socket)
        for scope in scopes:
            self._hold(socket, scope)

    def remove(self, socket: Connection) -> None:
        self._drop_all(socket)
        _discard(self._by_user, socket.user, socket)
        if self.watcher is not None:
            self.watcher.removed(socket)

    def holders(self, scope: str) -> Collection[Connection]:
        """The sockets that hold a scope."""
        return self._by_scope.get(scope, ())

    def deliver(self, entry: LogEntry) -> None:
        """Give an event to the sockets that hold its scope, and follow what it says about access."""
        ops = json.loads(entry.ops) if entry.control else []
        who = int(entry.scope.partition(":")[2]) if entry.control else 0
        user = self._by_user.get(who, set()) if entry.control else set()
        for op in ops:
            for socket in user:
                if op["op"] == "close" and op["session"] in (None, socket.session):
                    socket.close(Close.SIGNED_OUT)
                elif op["op"] == "anew":
                    # Which scopes it has lost is not said, and until the client has gone it may hold none of those.
                    self._drop_all(socket)
                    socket.close(Close.RESUME)
        if sockets := self._by_scope.get(entry.scope):
            text = Prepared(frames.event(entry))
            for socket in sockets:
                socket.push(text)
        for op in ops:
            if op["op"] == "enter":
                self._enter(who, op["scope"], user)
            elif op["op"] == "leave":
                self._leave(who, op["scope"], user, entry.seq)

    def push_to_all(self, text: str) -> None:
        prepared = Prepared(text)
        for sockets in self._by_user.values():
            for socket in sockets:
                socket.push(prepared)

    def close_all(self, code: Close) -> None:
        for sockets in self._by_user.values():
            for socket in sockets:
                socket.close(code)

    def close_overdue(self, now: float) -> None:
        """Close the sockets whose session has run out, or that are stuck; ``now`` by the monotonic clock."""
        for sockets in self._by_user.values():
            for socket in sockets:
                if socket.expires <= now:
                    # Who used the session meanwhile may have made it last longer: the handshake will tell.
                    socket.close(Close.RESUME)
                socket.close_if_stuck(now)

    def _enter(self, user: int, scope: str, sockets: set[Connection]) -> None:
        if self.watcher is not None:
            self.watcher.entered(user, scope)
        for socket in sockets:
            self._hold(socket, scope)

    def _leave(self, user: int, scope: str, sockets: set[Connection], seq: int) -> None:
        for socket in sockets:
            self._drop(socket, scope)
        if self.watcher is not None:
            self.watcher.left(user, scope, seq)

    def _hold(self, socket: Connection, scope: str) -> None:
        if scope in socket.scopes:
            return
        socket.scopes.add(scope)
        self._by_scope[scope].add(socket)
        if self.watcher is not None:
            self.watcher.held(socket, scope)

    def _drop_all(self, socket: Connection) -> None:
        for scope in list(socket.scopes):
            self._drop(socket, scope)

    def _drop(self, socket: Connection, scope: str) -> None:
        if scope not in socket.scopes:
            return
        socket.scopes.discard(scope)
        _discard(self._by_scope, scope, socket)
        if self.watcher is not None:
            self.watcher.dropped(socket, scope)


def _discard(index: dict[K, set[Connection]], key: K, socket: Connection) -> None:
    sockets = index.get(key)
    if sockets is not None:
        sockets.discard(socket)
        if not sockets:
            del index[key]
