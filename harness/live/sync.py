"""The sync driver of the live protocol: a thread a client, reconnecting until told otherwise; works under gevent."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from harness.live.connection import LiveConnection, State
from harness.live.driver import Driver
from harness.live.store import JSON, LiveStore
from harness.live.transport import ABNORMAL, OPEN_WITHIN, end_of, options, patience, without_goodbye

T = TypeVar("T")


class SyncLive(Driver):
    """A live client on a thread of its own.

    Args:
        url: ``ws://host/live``.
        origin: sent as the Origin header; servers refuse foreign ones.
        headers: read at every connect, so that a new session is used once there is one.
        on_frame: told every event that was applied, on the client's thread, after the store has it.
        store: what the client holds already, such as from a page; by default nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        origin: str,
        headers: Callable[[], Mapping[str, str]],
        on_frame: Callable[[JSON], None] = lambda _frame: None,
        store: LiveStore | None = None,
    ) -> None:
        connection = LiveConnection(LiveStore() if store is None else store, on_applied=on_frame)
        super().__init__(url, connection, origin=origin, headers=headers)
        self._changed = threading.Condition()
        self._transport: ClientConnection | None = None
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._wake = threading.Event()

    def __enter__(self) -> SyncLive:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Connect, and stay connected."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._wanted = True
        self._wake.clear()
        self._thread = threading.Thread(target=self._run, name=f"live {self.url}", daemon=True)
        self._thread.start()

    def wait(self, until: Callable[[LiveStore], bool], *, within: float) -> bool:
        """Wait until something is true of the store; whether it came true in time.

        Args:
            until: called with the store whenever something came in.
            within: seconds.
        """
        with self._changed:
            return self._changed.wait_for(lambda: until(self.store), within)

    def read(self, reader: Callable[[LiveStore], T]) -> T:
        """What a reader makes of the store, while nothing comes in between."""
        with self._changed:
            return reader(self.store)

    def wait_live(self, *, within: float = 10.0) -> bool:
        """Wait until everything up to now has arrived."""
        with self._changed:
            return self._changed.wait_for(lambda: self.state is State.LIVE, within)

    def cut(self) -> None:
        """Lose the network: the TCP connection is reset without a word, and stays away until `start`."""
        transport = self._leave()
        if transport is not None:
            _reset(transport.socket)
        self._join()

    def close(self) -> None:
        """Leave in good order."""
        transport = self._leave()
        if transport is not None:
            transport.close()
        self._join()

    def load_older(self, scope: str, entity: str) -> bool:
        """Ask for a page of older entities; False where everything is held or the client is offline."""
        with self._changed:
            frame = self._connection.page(scope, entity)
            transport = self._transport
        return transport is not None and frame is not None and _sent(transport, frame)

    def signal(self, scope: str, name: str) -> bool:
        """Tell whoever holds a scope something of the moment, such as ``typing``; False while that is in vain."""
        with self._changed:
            frame = self._connection.signal(scope, name)
            transport = self._transport
        return transport is not None and frame is not None and _sent(transport, frame)

    def _leave(self) -> ClientConnection | None:
        with self._changed:
            self._wanted = False
            return self._transport

    def _join(self) -> None:
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while self._wanted:
            code = self._connect_once()
            with self._changed:
                delay = self._connection.closed(code)
                self._changed.notify_all()
            if delay is None:
                return
            if self._wanted:
                self._wake.wait(delay)

    def _connect_once(self) -> int:
        """One connection from handshake to end; its close code."""
        try:
            known = options(self._origin, self._headers())
            with connect(self.url, open_timeout=OPEN_WITHIN, **known) as transport:
                return self._converse(transport)
        except Exception as error:
            # A thread that ends in silence would look alive.
            code, self.error = end_of(error)
            return code
        finally:
            self._transport = None

    def _converse(self, transport: ClientConnection) -> int:
        with self._changed:
            if not self._wanted:
                # Whoever left during the handshake had no transport to close.
                return ABNORMAL
            self._transport = transport
            greeting = self._connection.opened()
        for frame in greeting:
            transport.send(frame)
        while True:
            text = self._receive(transport)
            with self._changed:
                reaction = self._connection.received(text)
                self._changed.notify_all()
            for frame in reaction.send:
                transport.send(frame)
            if reaction.resume:
                self.error = "events were missing"
                return ABNORMAL

    def _receive(self, transport: ClientConnection) -> str:
        """The next frame; meanwhile, what is due is sent."""
        deadline = time.monotonic() + patience(self._connection.heartbeat)
        while True:
            left = deadline - time.monotonic()
            with self._changed:
                due_in = self._connection.wake_in()
            try:
                return transport.recv(timeout=left if due_in is None else min(left, due_in), decode=True)
            except TimeoutError:
                if time.monotonic() >= deadline:
                    raise
            with self._changed:
                frames = self._connection.due()
                self._changed.notify_all()
            for frame in frames:
                transport.send(frame)


def _sent(transport: ClientConnection, frame: str) -> bool:
    try:
        transport.send(frame)
    except ConnectionClosed:
        return False
    return True


def _reset(sock: socket.socket) -> None:
    # Its own thread closes it when it reads the end; closing here could hand the descriptor to another socket.
    with contextlib.suppress(OSError):
        without_goodbye(sock)
        sock.shutdown(socket.SHUT_RD)
