"""What tests of live apps need: clients of the real engine inside one process, and the equality that must hold.

After any change, what a client holds from its snapshot and the events equals a fresh snapshot asked with its bounds.
Everything is real but the network: triggers, outbox, batches, the roster that decides who gets what.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import connection

from stack.live import memberships
from stack.live.batch import run_batch
from stack.live.frames import Close
from stack.live.log import LogEntry
from stack.live.prepared import Prepared
from stack.live.registry import registry
from stack.live.relay import schema_hash
from stack.live.roster import Roster
from stack.live.snapshot import Bounds, read_scope, read_snapshot


class Store(Protocol):
    """A client's store, as docs/live-protocol.md describes it."""

    orders: Any

    @property
    def scopes(self) -> Iterable[str]: ...
    @property
    def stale(self) -> Iterable[str]: ...
    def apply_snapshot(self, frame: dict[str, Any]) -> None: ...
    def apply_event(self, frame: dict[str, Any]) -> Any: ...
    def apply_scope(self, frame: dict[str, Any]) -> None: ...
    def expect(self, scope: str) -> None: ...
    def bounds(self) -> Any: ...
    def canonical(self) -> dict[str, Any]: ...


@dataclass(eq=False)
class Client:
    """A signed-in client without a network: what the roster pushes is applied at once."""

    user: int
    store: Store
    session: str = ""
    scopes: set[str] = field(default_factory=set)
    frames: list[dict[str, Any]] = field(default_factory=list)
    closed: Close | None = None

    def push(self, text: str | Prepared, *, counted: bool = True) -> None:
        if self.closed is not None:
            return
        frame = json.loads(text if isinstance(text, str) else text.text)
        self.frames.append(frame)
        applied = self.store.apply_event(frame)
        assert not applied.hole, f"user {self.user} missed events before {frame}"

    def close(self, code: Close) -> None:
        self.closed = self.closed or code


class Engine:
    """A relay and a hub for tests, one step at a time.

    Args:
        new_store: makes an empty client store.
    """

    def __init__(self, new_store: Callable[[], Store]) -> None:
        self._new_store = new_store
        self.roster = Roster()
        self.clients: list[Client] = []
        with connection.cursor() as cursor:
            self._reads = memberships.tables_read(cursor)
        run_batch(self._reads, schema_hash=schema_hash())
        self.drain()

    def connect(self, user: int, *, session: str = "") -> Client:
        """A client with a fresh snapshot, attached to the roster."""
        client = Client(user, self._snapshot(user), session)
        self.roster.add(client, set(client.store.scopes))  # type: ignore[arg-type]
        self.clients.append(client)
        return client

    def drain(self) -> list[LogEntry]:
        """Relay everything that is committed and deliver it."""
        entries: list[LogEntry] = []
        while (batch := run_batch(self._reads)) is not None:
            entries += batch.entries
            for entry in batch.entries:
                self.roster.deliver(entry)
        for client in self.clients:
            for scope in list(client.store.stale):
                client.store.expect(scope)
                client.store.apply_scope(read_scope(client.user, scope))
        return entries

    @contextmanager
    def verify(self, *, silent: bool = False) -> Iterator[None]:
        """Every client that is still connected equals its fresh snapshot after the block.

        Args:
            silent: whether the block shall change nothing for anybody; if not, a block without an effect fails.
        """
        before = [client.store.canonical() for client in self.clients]
        yield
        entries = self.drain()
        after = [client.store.canonical() for client in self.clients]
        if silent:
            assert not entries, f"made events, though nothing changed: {entries}"
        else:
            assert before != after, "changed nothing for any client: the test proves nothing"
        for client, held in zip(self.clients, after, strict=True):
            if client.closed is not None:
                continue
            fresh = self._snapshot(client.user, bounds=client.store.bounds()).canonical()
            assert held == fresh, f"user {client.user} differs from a fresh snapshot"

    def _snapshot(self, user: int, *, bounds: Bounds | None = None) -> Store:
        store = self._new_store()
        store.orders = registry.orders
        store.apply_snapshot(read_snapshot(user, bounds=bounds))
        return store
