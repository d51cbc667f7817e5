"""The asyncio driver of the live protocol: a task a client, reconnecting until told otherwise."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from random import Random
from types import TracebackType
from typing import Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from harness.live.connection import LiveConnection, State
from harness.live.driver import Driver
from harness.live.store import JSON, LiveStore
from harness.live.transport import ABNORMAL, OPEN_WITHIN, end_of, options, patience, without_goodbye

T = TypeVar("T")


class AsyncLive(Driver):
    """A live client as a task; everything but making one happens on the loop that runs it.

    Args:
        url: ``ws://host/live``; read at every connect.
        origin: sent as the Origin header; servers refuse foreign ones.
        headers: read at every connect, so that a new session is used once there is one.
        on_frame: told every event that was applied, after the store has it.
        store: what the client holds already, such as from a page; by default nothing.
        random: for the jitter of reconnects.
        open_within: seconds for a handshake.
    """

    def __init__(
        self,
        url: str,
        *,
        origin: str,
        headers: Callable[[], Mapping[str, str]],
        on_frame: Callable[[JSON], None] = lambda _frame: None,
        store: LiveStore | None = None,
        random: Random | None = None,
        open_within: float = OPEN_WITHIN,
    ) -> None:
        connection = LiveConnection(LiveStore() if store is None else store, random=random, on_applied=on_frame)
        super().__init__(url, connection, origin=origin, headers=headers)
        self._open_within = open_within
        self._transport: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Connect, and stay connected."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def wait(self, until: Callable[[LiveStore], bool], *, within: float) -> bool:
        """Wait until something is true of the store; whether it came true in time.

        Args:
            until: called with the store whenever something came in.
            within: seconds.
        """
        return await self._wait_for(lambda: until(self.store), within)

    async def wait_live(self, *, within: float = 10.0) -> bool:
        """Wait until everything up to now has arrived."""
        return await self._wait_for(lambda: self.state is State.LIVE, within)

    async def cut(self) -> None:
        """Lose the network: the TCP connection is reset without a word, and stays away until `start`."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                without_goodbye(self._transport.transport.get_extra_info("socket"))
            self._transport.transport.abort()
        await self._end()

    async def close(self) -> None:
        """Leave in good order."""
        if self._transport is not None:
            await self._transport.close()
        await self._end()

    async def load_older(self, scope: str, entity: str) -> bool:
        """Ask for a page of older entities; False where everything is held or the client is offline."""
        transport = self._transport
        frame = None if transport is None else self._connection.page(scope, entity)
        return transport is not None and frame is not None and await _sent(transport, frame)

    async def signal(self, scope: str, name: str) -> bool:
        """Tell whoever holds a scope something of the moment, such as ``typing``; False while that is in vain."""
        transport = self._transport
        frame = None if transport is None else self._connection.signal(scope, name)
        return transport is not None and frame is not None and await _sent(transport, frame)

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()

    async def _run(self) -> None:
        while True:
            code = ABNORMAL
            try:
                code = await self._connect_once()
            finally:
                delay = self._connection.closed(code)
                self._changed()
            if delay is None:
                return
            await asyncio.sleep(delay)

    async def _connect_once(self) -> int:
        """One connection from handshake to end; its close code."""
        try:
            known = options(self._origin, self._headers())
            async with connect(self.url, open_timeout=self._open_within, **known) as transport:
                self._transport = transport
                return await self._converse(transport)
        except Exception as error:
            # A task that ends in silence would look alive.
            code, self.error = end_of(error)
            return code
        finally:
            self._transport = None

    async def _converse(self, transport: ClientConnection) -> int:
        for frame in self._connection.opened():
            await transport.send(frame)
        while True:
            text = await self._receive(transport)
            reaction = self._connection.received(text)
            self._changed()
            for frame in reaction.send:
                await transport.send(frame)
            if reaction.resume:
                self.error = "events were missing"
                return ABNORMAL

    async def _receive(self, transport: ClientConnection) -> str:
        """The next frame; meanwhile, what is due is sent."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience(self._connection.heartbeat)
        while True:
            due_in = self._connection.wake_in()
            wake_at = deadline if due_in is None else min(deadline, clock() + due_in)
            try:
                async with asyncio.timeout_at(wake_at):
                    return await transport.recv(decode=True)
            except TimeoutError:
                if wake_at >= deadline:
                    raise
            for frame in self._connection.due():
                await transport.send(frame)
            self._changed()

    async def _wait_for(self, condition: Callable[[], bool], within: float) -> bool:
        if condition():
            return True
        come_true: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[come_true] = condition
        try:
            async with asyncio.timeout(within):
                await come_true
        except TimeoutError:
            return False
        finally:
            del self._waiting[come_true]
        return True

    def _changed(self) -> None:
        for come_true, condition in self._waiting.items():
            if come_true.done():
                continue
            try:
                if condition():
                    come_true.set_result(None)
            except Exception as error:
                come_true.set_exception(error)


async def _sent(transport: ClientConnection, frame: str) -> bool:
    try:
        await transport.send(frame)
    except ConnectionClosed:
        return False
    return True
