"""Many live clients on one event loop, in a thread of its own, behind methods for everybody else."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from types import TracebackType
from typing import Any, Self, TypeVar

from harness.live.aio import AsyncLive
from harness.live.connection import State
from harness.live.store import JSON, LiveStore

T = TypeVar("T")

OPEN_WITHIN = 60.0
"""Seconds for a handshake: whoever comes with a thousand others waits longer than one alone."""

Some = Iterable[int] | None
"""Clients by their numbers; None for all."""


@dataclass(frozen=True)
class SwarmCounts:
    """What happened to some clients so far, all together.

    Attributes:
        live: how many are up to date.
        resumes, snapshots: connections that began with the missed events, or with a snapshot.
        applied, dropped, ignored, holes: what became of the events that came in.
    """

    live: int
    resumes: int
    snapshots: int
    applied: int
    dropped: int
    ignored: int
    holes: int


class Swarm:
    """Live clients in hundreds, numbered from 0; any thread may call but the swarm's own, where `on_frame` is told.

    Args:
        backends: the servers' origins (``http://host:port``), taken in turn.
        headers: one client each; what it sends with the handshake, read at every connect.
        on_frame: told a client's number, its store and every event that the store has applied, on the swarm's thread.
        seed: of the jitter of reconnects.
    """

    def __init__(
        self,
        backends: Sequence[str],
        headers: Sequence[Mapping[str, str]],
        *,
        on_frame: Callable[[int, LiveStore, JSON], None] = lambda _number, _store, _frame: None,
        seed: int | None = None,
    ) -> None:
        random = Random(seed)  # noqa: S311 - jitter
        self._clients = [
            AsyncLive(
                _live(base := backends[number % len(backends)]),
                origin=base,
                headers=partial(dict, sent),
                on_frame=partial(on_frame, number, store := LiveStore()),
                store=store,
                random=random,
                open_within=OPEN_WITHIN,
            )
            for number, sent in enumerate(headers)
        ]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._clients)

    def start(self, some: Some = None) -> None:
        """Connect those that are not connected, all at once, and stay connected."""

        async def started() -> None:
            for client in self._chosen(some):
                client.start()

        self._run(started())

    def cut(self, some: Some = None) -> None:
        """Lose the network: connections are reset without a word, and stay away until `start`."""
        self._run(_all(client.cut() for client in self._chosen(some)))

    def move(self, backend: str, some: Some = None) -> None:
        """Whoever connects from now on goes to this server, as behind a load balancer; who is connected stays."""

        async def moved() -> None:
            for client in self._chosen(some):
                client.url = _live(backend)

        self._run(moved())

    def wait_live(self, *, within: float, some: Some = None) -> bool:
        """Wait until everything up to now has arrived at all of them; whether it did within these seconds."""
        return all(self._run(_all(client.wait_live(within=within) for client in self._chosen(some))))

    def wait(self, until: Callable[[LiveStore], bool], *, within: float, some: Some = None) -> bool:
        """Wait until something is true of every store; whether it came true of all within these seconds."""
        return all(self._run(_all(client.wait(until, within=within) for client in self._chosen(some))))

    def read(self, number: int, reader: Callable[[LiveStore], T]) -> T:
        """What a reader makes of one client's store, while nothing comes in between."""
        (found,) = self.read_all(reader, [number])
        return found

    def read_all(self, reader: Callable[[LiveStore], T], some: Some = None) -> list[T]:
        """What a reader makes of each store, all at one moment."""

        async def found() -> list[T]:
            return [reader(client.store) for client in self._chosen(some)]

        return self._run(found())

    def load_older(self, number: int, scope: str, entity: str) -> bool:
        """Ask for a page of older entities; False where everything is held or the client is offline."""
        return self._run(self._clients[number].load_older(scope, entity))

    def signal(self, number: int, scope: str, name: str) -> bool:
        """Have one client tell whoever holds a scope something of the moment; False while that is in vain."""
        return self._run(self._clients[number].signal(scope, name))

    def counts(self, some: Some = None) -> SwarmCounts:
        async def counted() -> SwarmCounts:
            chosen = self._chosen(some)
            stores = [client.store.counts for client in chosen]
            return SwarmCounts(
                live=sum(client.state is State.LIVE for client in chosen),
                resumes=sum(client.resumes for client in chosen),
                snapshots=sum(client.snapshots for client in chosen),
                applied=sum(counts.applied for counts in stores),
                dropped=sum(counts.dropped for counts in stores),
                ignored=sum(counts.ignored for counts in stores),
                holes=sum(counts.holes for counts in stores),
            )

        return self._run(counted())

    def troubles(self, some: Some = None) -> dict[str, int]:
        """State and last error -> how many of those that are not up to date have it; for the words of a failure."""

        async def told() -> dict[str, int]:
            off = [client for client in self._chosen(some) if client.state is not State.LIVE]
            return dict(Counter(f"{client.state.value} ({client.error})" for client in off))

        return self._run(told())

    def close(self) -> None:
        """Leave in good order; `start` begins anew with what the stores hold."""
        if self._loop is None or self._thread is None:
            return
        self._run(_all(client.close() for client in self._clients))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = self._thread = None

    def _chosen(self, some: Some) -> list[AsyncLive]:
        return self._clients if some is None else [self._clients[number] for number in some]

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the loop, and wait for it."""
        if self._loop is None:
            ready = threading.Event()
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._loop, ready), name="swarm", daemon=True)
            self._thread.start()
            ready.wait()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _serve(loop: asyncio.AbstractEventLoop, ready: threading.Event) -> None:
    with asyncio.Runner(loop_factory=lambda: loop):
        loop.call_soon(ready.set)
        loop.run_forever()


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    return list(await asyncio.gather(*works))


def _live(base: str) -> str:
    return f"ws{base.removeprefix('http')}/live"
