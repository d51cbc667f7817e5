"""The one client program: thousands of sockets of any of the servers in one event loop."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.live.tally import Tally
from benchmarks.live.wire import COOKIE, MARK, ORIGIN

_MARK = re.compile(MARK.pattern.encode())
AT_ONCE = 50
READY_WITHIN = 120.0
CLOSED_WITHIN = 30.0


class Failed(Exception):
    """A server did not do what is measured."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How clients of one server behave.

    Attributes:
        opening: what a client sends first.
        greeting: what stands in the frame that says that the socket is in service; None where being open is enough.
        pings: what a client answers to frames that ask whether it lives.
    """

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    opening: bytes | None = None
    greeting: bytes | None = None
    pings: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """Up to where a client of this engine is complete."""

    epoch: str
    seq: int


def engine(cursor: Cursor | None) -> Dialect:
    """A client of this engine, from its cursor or, without one, from nothing."""
    at = None if cursor is None else {"epoch": cursor.epoch, "seq": cursor.seq}
    return Dialect(
        path="/live",
        headers={"Sec-WebSocket-Protocol": "live.v1"},
        opening=json.dumps({"type": "hello", "cursor": at}).encode(),
        greeting=b'{"type":"heartbeat"',
    )


STOCK = Dialect(path="/changes")
BARE = Dialect(path="/changes")
SOCKETIO = Dialect(
    path="/socket.io/?EIO=4&transport=websocket", opening=b"40", greeting=b'40{"sid"', pings={b"2": b"3"}
)


class Crowd:
    """The sockets of one server.

    Args:
        sessions: the session of each socket.

    Attributes:
        greeting: the newest frame that said that a socket is in service.
        sample: the newest frame that told of a change.
    """

    def __init__(self, address: str, dialect: Dialect, *, sessions: Sequence[str], tally: Tally) -> None:
        self.tally = tally
        self.greeting = self.sample = b""
        self.closed: list[int] = []
        self._address = address
        self._dialect = dialect
        self._sessions = sessions
        self._clients: list[_Client] = []
        self._leaving = False

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def cursor(self) -> Cursor:
        """Where the log stood when the last socket was greeted."""
        greeting = json.loads(self.greeting)
        return Cursor(epoch=greeting["epoch"], seq=greeting["seq"])

    async def grow(self, size: int, *, at_once: int = AT_ONCE) -> float:
        """Connect until there are so many sockets, in service; the seconds that took.

        Raises:
            Failed: one of them could not be had.
        """
        turns = asyncio.Semaphore(at_once)
        places = range(len(self._clients), size)
        clients = [_Client(self, self._dialect, self.tally.add()) for _ in places]
        began = time.monotonic()

        async def connect(client: _Client, session: str) -> None:
            async with turns:
                headers = {**self._dialect.headers, "Cookie": f"{COOKIE}={session}", "Origin": ORIGIN}
                await ws_connect(
                    lambda: client,
                    f"ws://{self._address}{self._dialect.path}",
                    extra_headers=headers,
                    websocket_handshake_timeout=READY_WITHIN,
                    read_buffer_init_size=4096,
                )
                await client.ready.wait()

        try:
            async with asyncio.timeout(READY_WITHIN):
                await asyncio.gather(
                    *(connect(client, self._sessions[place]) for client, place in zip(clients, places, strict=True))
                )
        except (TimeoutError, OSError, WSError) as error:
            raise Failed(f"{size} sockets of {self._address} could not be had: {error!r}") from error
        took = time.monotonic() - began
        self._clients += clients
        self.check()
        return took

    def check(self) -> None:
        """Raises `Failed` if a server closed a socket."""
        if self.closed:
            raise Failed(f"{self._address} closed {len(self.closed)} sockets, the first with {self.closed[0]}.")

    async def drop(self, *, graceful: bool = False) -> None:
        """Cut all connections, or take leave."""
        self._leaving = True
        clients, self._clients = self._clients, []
        for client in clients:
            client.leave(graceful=graceful)
        async with asyncio.timeout(CLOSED_WITHIN):
            for client in clients:
                await client.gone.wait()

    def lost(self, code: int) -> None:
        """A socket is gone."""
        if not self._leaving:
            self.closed.append(code)


class _Client(WSListener):
    def __init__(self, crowd: Crowd, dialect: Dialect, place: int) -> None:
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()
        self._crowd = crowd
        self._dialect = dialect
        self._place = place
        self._in_service = False
        self._code = 1006
        self._transport: Any = None

    def leave(self, *, graceful: bool) -> None:
        if graceful:
            self._transport.send_close()
        self._transport.disconnect(graceful=graceful)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self._dialect.opening is not None:
            transport.send(WSMsgType.TEXT, self._dialect.opening)
        if self._dialect.greeting is None:
            self._serve()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                self._code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big")
                transport.disconnect()
            return
        text = frame.get_payload_as_bytes()
        if self._in_service and (numbers := _MARK.findall(text)):
            for number in numbers:
                self._crowd.tally.received(self._place, int(number))
            self._crowd.sample = text
        elif (answer := self._dialect.pings.get(text)) is not None:
            transport.send(WSMsgType.TEXT, answer)
        elif self._dialect.greeting is not None and self._dialect.greeting in text:
            self._crowd.greeting = text
            self._serve()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._crowd.lost(self._code)
        self.gone.set()
        # Whoever waits for it to be in service looks at what was closed.
        self.ready.set()

    def _serve(self) -> None:
        self._in_service = True
        self.ready.set()
