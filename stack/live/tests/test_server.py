"""Frames past ASGI: as the server would have written them, and only where it would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from stack.live.connection import Connection
from stack.live.prepared import Prepared
from stack.live.server import writer
from stack.live.tests.wire import Wire

Told = Callable[[Callable[..., Any]], Awaitable[None]]


@asynccontextmanager
async def served(told: Told, *, deflate: bool = False, kind: str = "websockets-sansio") -> AsyncGenerator[int]:
    """A server that gives every socket's ``send`` away once it is accepted, and keeps the socket until it leaves."""

    async def application(_scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await told(send)
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with serving(application, ws=kind, ws_per_message_deflate=deflate) as port:
        yield port


@asynccontextmanager
async def serving(application: Any, *, ws: str = "websockets-sansio", **options: Any) -> AsyncGenerator[int]:
    config = uvicorn.Config(application, port=0, ws=ws, lifespan="off", log_level="error", **options)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def accepted(**options: Any) -> AsyncGenerator[tuple[Callable[..., Any], ClientConnection]]:
    """Both ends of a socket."""
    ends: asyncio.Queue[Callable[..., Any]] = asyncio.Queue()
    async with served(ends.put, **options) as port, connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
        yield await ends.get(), client


@pytest.mark.parametrize("text", ["", "plain", "€" * 50, "x" * 125, "x" * 126, "x" * 65_535, "x" * 65_536])
def test_it_arrives_as_if_the_server_had_encoded_it(text: str) -> None:
    async def story() -> None:
        async with accepted() as (send, client):
            write = writer(send)
            assert write is not None
            assert write(Prepared(text).data)
            await send({"type": "websocket.send", "text": text})
            async with asyncio.timeout(10):
                assert [await client.recv(), await client.recv()] == [text, text]

    asyncio.run(story())
    assert Prepared(text).size == len(text.encode())


def test_one_that_has_left_is_sends_business() -> None:
    async def story() -> None:
        async with accepted() as (send, client):
            write = writer(send)
            assert write is not None
            await client.close()
            assert not write(Prepared("too late").data)

    asyncio.run(story())


def test_nothing_follows_the_close_frame() -> None:
    async def story() -> None:
        async with accepted() as (send, client):
            write = writer(send)
            assert write is not None
            await send({"type": "websocket.close", "code": 4000})
            assert not write(Prepared("too late").data)
            await client.wait_closed()
            assert client.close_code == 4000

    asyncio.run(story())


def test_what_the_network_does_not_take_waits_where_it_is_counted() -> None:
    async def story() -> None:
        async with accepted() as (send, client):
            write = writer(send)
            socket = Connection(send, user=1, session="", expires=0.0, abort=lambda: None, write=write)
            client.transport.pause_reading()
            frame = Prepared("x" * 100_000)
            written = 0
            while not socket.waiting:
                socket.push(frame)
                written += 1
                assert written < 1000, "the network takes whatever it is given"
            socket.push(Prepared("the last"))
            client.transport.resume_reading()
            async with asyncio.timeout(10):
                sizes = [len(await client.recv()) for _ in range(written)]
                assert await client.recv() == "the last"
            assert sizes == [100_000] * written
            await socket.drained()
            assert socket.waiting == 0

    asyncio.run(story())


@pytest.mark.parametrize("options", [{"deflate": True}, {"kind": "wsproto"}])
def test_other_servers_encode_by_themselves(options: dict[str, Any]) -> None:
    async def story() -> None:
        async with accepted(**options) as (send, client):
            assert writer(send) is None
            socket = Connection(send, user=1, session="", expires=0.0, abort=lambda: None, write=writer(send))
            socket.push(Prepared("hello"))
            async with asyncio.timeout(10):
                assert await client.recv() == "hello"

    asyncio.run(story())


def test_while_nothing_waits_there_is_no_task() -> None:
    async def story() -> None:
        wire, written = Wire(), []

        def takes(data: bytes) -> bool:
            written.append(data)
            return len(written) < 3

        socket = Connection(wire.send, user=1, session="", expires=0.0, abort=wire.abort, write=takes)
        socket.push('{"seq": 1}')
        socket.push('{"seq": 2}')
        assert asyncio.all_tasks() == {asyncio.current_task()}
        # The network takes no more: from here on everything goes through the queue, until that is empty.
        wire.blocked = asyncio.Event()
        for number in (3, 4):
            socket.push(f'{{"seq": {number}}}')
        assert socket.waiting == 2 * len('{"seq": 3}')
        wire.blocked.set()
        await socket.drained()
        assert [frame["seq"] for frame in wire.frames] == [3, 4]
        assert written == [Prepared(f'{{"seq": {number}}}').data for number in (1, 2, 3)]
        socket.push('{"seq": 5}')
        assert len(written) == 4

    asyncio.run(story())


def test_a_connection_that_fails_is_left_to_send() -> None:
    async def story() -> None:
        async with accepted() as (send, _client):
            write = writer(send)
            assert write is not None

            class Failing:
                def write(self, _data: bytes) -> None:
                    raise OSError("gone")

            protocol = send.__self__  # type: ignore[attr-defined]  # a bound method
            protocol.transport, kept = Failing(), protocol.transport
            assert not write(b"")
            protocol.transport = kept

    asyncio.run(story())
