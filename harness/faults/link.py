"""A connection through a proxy: a client's and the one made for it, with a pipe each way."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Protocol

from harness.faults.pipe import End, Pipe, Place

_RESETTING = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends an RST."""


class Door(Place, Protocol):
    """What a link has to know of the proxy that it goes through."""

    def opened(self, link: Link) -> None:
        """A client has come."""

    def closed(self, link: Link) -> None:
        """Nothing is left of it."""


class Side(asyncio.Protocol):
    """One end of a link, as the event loop sees it: what it says goes into ``incoming``."""

    def __init__(self, link: Link, incoming: Pipe, outgoing: Pipe) -> None:
        self.transport: asyncio.Transport | None = None
        self.incoming = incoming
        self.outgoing = outgoing
        self.lost = False
        self._link = link
        # Called for everything that passes.
        self.data_received = incoming.take  # type: ignore[method-assign]  # one call fewer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.incoming.read_from(transport)
        self._link.made(self)

    def eof_received(self) -> bool:
        """Called by the event loop; the other direction stays open."""
        self.incoming.take_end(End.FINISHED)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self.lost = True
        self._link.side_lost(self)

    def pause_writing(self) -> None:
        """Called by the transport."""
        self.outgoing.sink_is_full(True)

    def resume_writing(self) -> None:
        """Called by the transport."""
        self.outgoing.sink_is_full(False)

    def close(self, *, reset: bool, flush: bool) -> None:
        """Close it; with ``reset`` by an RST, with ``flush`` after what is being written."""
        if self.transport is None or self.lost:
            return
        if reset:
            found = self.transport.get_extra_info("socket")
            # The other side may have been quicker.
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING)
        if flush:
            self.transport.close()
        else:
            self.transport.abort()


class Link:
    """Two connections that are one. ``number`` counts those of a proxy, ``since`` is the loop's time."""

    def __init__(self, door: Door, number: int) -> None:
        self._door = door
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self.damaged = False
        self._ends: set[Pipe] = set()
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        forth = Pipe(door, name=f"{number} forth", on_end=self._ended, on_loss=self.damage)
        back = Pipe(door, name=f"{number} back", on_end=self._ended, on_loss=self.damage)
        self.client = Side(self, incoming=forth, outgoing=back)
        self.server = Side(self, incoming=back, outgoing=forth)

    def made(self, side: Side) -> None:
        """One of the two connections stands."""
        if self._closing:
            side.close(reset=True, flush=False)
            return
        assert side.transport is not None
        side.outgoing.connect(side.transport)
        if side is self.client:
            self._door.opened(self)

    def side_lost(self, side: Side) -> None:
        """One of the two connections is gone."""
        other = self.server if side is self.client else self.client
        if other.lost or other.transport is None:
            self.drop()
        elif not self._closing:
            # What it had sent before still arrives.
            side.outgoing.stop()
            side.incoming.take_end(End.RESET)

    def damage(self) -> None:
        """Something was lost on the way, which TCP never does."""
        self.damaged = True

    def cut(self, *, reset: bool) -> None:
        """A fault ends it, with an RST or as a server that ends would."""
        if not self._closing:
            self._door.tally.cut += 1
            self.drop(reset=reset)

    def drop(self, *, reset: bool = False) -> None:
        """Close both sides at once."""
        self._close(reset=reset, flush=False)

    def settle(self, reset_at: float | None) -> None:
        """The conditions have changed; ``reset_at``, in the loop's time, is when a fault resets this link."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if reset_at is not None:
            if reset_at <= self._loop.time():
                self.cut(reset=True)
                return
            self._timer = self._loop.call_at(reset_at, self._reset)
        for side in (self.client, self.server):
            side.incoming.settle()

    def swallow(self) -> None:
        """Lose what is under way."""
        for side in (self.client, self.server):
            side.incoming.swallow()

    def _reset(self) -> None:
        self._timer = None
        self.cut(reset=True)

    def _ended(self, pipe: Pipe, end: End) -> None:
        sink = self.server if pipe is self.client.incoming else self.client
        if end is End.RESET:
            self._close(reset=True, flush=True)
            return
        self._ends.add(pipe)
        if len(self._ends) == 2:
            self._close(reset=False, flush=True)
        elif sink.transport is not None:
            try:
                sink.transport.write_eof()
            except OSError:
                # It broke at the same moment, which the event loop has not told yet.
                self.drop(reset=True)

    def _close(self, *, reset: bool, flush: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        first = not self._closing
        self._closing = True
        for side in (self.client, self.server):
            side.incoming.stop()
            side.close(reset=reset, flush=flush)
        if first:
            self._door.closed(self)
