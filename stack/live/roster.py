"""Which sockets hold which scopes, and giving them their events."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TypeVar

from stack.live import frames
from stack.live.connection import Connection
from stack.live.frames import Close
from stack.live.log import LogEntry

K = TypeVar("K")


class Roster:
    """The sockets of one process, by scope and by user."""

    def __init__(self) -> None:
        self._by_scope: dict[str, set[Connection]] = defaultdict(set)
        self._by_user: dict[int, set[Connection]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._by_user.values()))

    def add(self, socket: Connection, scopes: set[str]) -> None:
        self._by_user[socket.user].add(socket)
        for scope in scopes:
            self._hold(socket, scope)

    def remove(self, socket: Connection) -> None:
        for scope in list(socket.scopes):
            self._drop(socket, scope)
        _discard(self._by_user, socket.user, socket)

    def deliver(self, entry: LogEntry) -> None:
        """Give an event to the sockets that hold its scope, and follow what it says about access."""
        ops = json.loads(entry.ops) if entry.control else []
        user = self._by_user.get(int(entry.scope.partition(":")[2]), set()) if entry.control else set()
        for op in ops:
            for socket in user:
                if op["op"] == "close" and op["session"] in (None, socket.session):
                    socket.close(Close.SIGNED_OUT)
        if sockets := self._by_scope.get(entry.scope):
            text = frames.event(entry)
            for socket in sockets:
                socket.push(text)
        for op in ops:
            for socket in user:
                if op["op"] == "enter":
                    self._hold(socket, op["scope"])
                elif op["op"] == "leave":
                    self._drop(socket, op["scope"])

    def push_to_all(self, text: str) -> None:
        for sockets in self._by_user.values():
            for socket in sockets:
                socket.push(text)

    def close_all(self, code: Close) -> None:
        for sockets in self._by_user.values():
            for socket in sockets:
                socket.close(code)

    def close_expired(self, now: float) -> None:
        """Close the sockets whose session has run out; ``now`` in seconds since the epoch."""
        for sockets in self._by_user.values():
            for socket in sockets:
                if socket.expires <= now:
                    socket.close(Close.SIGNED_OUT)

    def _hold(self, socket: Connection, scope: str) -> None:
        socket.scopes.add(scope)
        self._by_scope[scope].add(socket)

    def _drop(self, socket: Connection, scope: str) -> None:
        socket.scopes.discard(scope)
        _discard(self._by_scope, scope, socket)


def _discard(index: dict[K, set[Connection]], key: K, socket: Connection) -> None:
    sockets = index.get(key)
    if sockets is not None:
        sockets.discard(socket)
        if not sockets:
            del index[key]
