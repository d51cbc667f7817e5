"""The proxy of one target: where its clients knock, and the faults that are in force there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from harness.faults.conditions import Conditions, Fault, Reset
from harness.faults.counters import Tally
from harness.faults.link import Link, Side
from harness.faults.target import Target

_AGAIN = 0.2
"""Seconds between attempts to listen again on a port that another program took meanwhile."""
_BACKLOG = 1024


@dataclass(frozen=True, eq=False)
class Active:
    """A fault in force. ``since`` is in the loop's time."""

    fault: Fault
    since: float


class Door:
    """Listens in front of ``target`` and makes a link for everyone who comes."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.conditions = Conditions()
        self.tally = Tally()
        self._faults: list[Active] = []
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._listening = asyncio.Lock()

    async def open(self) -> None:
        """Listen; raises OSError if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._newcomer, "127.0.0.1", self.target.port, backlog=_BACKLOG, reuse_address=True
        )

    async def begin(self, fault: Fault) -> Active:
        """Put a fault in force; returns when it is."""
        active = Active(fault, asyncio.get_running_loop().time())
        self._faults.append(active)
        await self._settle()
        return active

    async def end(self, active: Active) -> None:
        """Take one fault back; the others stay."""
        self._faults.remove(active)
        await self._settle()

    def opened(self, link: Link) -> None:
        """A client has come."""
        self.tally.connections += 1
        self._links.add(link)
        if self.conditions.down:
            # It had knocked before the door was shut.
            link.cut(reset=False)
        elif self.conditions.half_open:
            link.damage()
            self._settle_link(link)
        else:
            self._settle_link(link)
            if link in self._links:
                self._spawn(self._connect(link))

    def closed(self, link: Link) -> None:
        """Nothing is left of it."""
        self._links.discard(link)

    def _newcomer(self) -> Side:
        return Link(self, self.tally.connections + 1).client

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: link.server, self.target.to_host, self.target.to_port)
        except OSError:
            self.tally.refused += 1
            # A client that is refused itself learns at once, too.
            link.drop(reset=True)

    async def _settle(self) -> None:
        """Make what is so what the faults in force together say."""
        before = self.conditions
        self.conditions = now = Conditions.of(active.fault for active in self._faults)
        self._shut_if_down()
        for link in list(self._links):
            if now.down:
                link.cut(reset=False)
            elif now.half_open and not before.half_open:
                link.swallow()
            elif before.half_open and not now.half_open and link.damaged:
                link.cut(reset=True)
        for link in list(self._links):
            self._settle_link(link)
        if (error := await self._listen()) is not None:
            sys.stderr.write(f"{self.target.name}: port {self.target.port} is not free any more: {error}\n")
            self._spawn(self._insist())

    async def _listen(self) -> OSError | None:
        """Listen if nothing speaks against it; the reason if it could not be."""
        async with self._listening:
            if self._server is None and not self.conditions.down:
                try:
                    await self.open()
                except OSError as error:
                    return error
        # Another fault may have begun meanwhile.
        self._shut_if_down()
        return None

    async def _insist(self) -> None:
        while await self._listen() is not None:  # noqa: ASYNC110 - nothing tells when a port is free
            await asyncio.sleep(_AGAIN)

    def _shut_if_down(self) -> None:
        if self.conditions.down and self._server is not None:
            self._server.close()
            self._server = None

    def _settle_link(self, link: Link) -> None:
        resets = [
            max(link.since, active.since) + active.fault.after
            for active in self._faults
            if isinstance(active.fault, Reset)
        ]
        link.settle(min(resets, default=None))
