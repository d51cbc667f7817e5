"""A client that floods with what is answered below the application, and reads nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from stack.live import process
from stack.live.draining import Draining
from stack.live.hub import Hub
from stack.live.limits import Places
from stack.live.prepared import Prepared
from stack.live.process import Process
from stack.live.server import MOST_FRAGMENTS, limit
from stack.live.socket import live_socket
from stack.live.tests.test_server import accepted, serving

PING = bytes([0x89, 0x80 | 125]) + bytes(4) + b"x" * 125
PINGS = 8000
MOST_KEPT = 256 * 1024
"""Bytes: what the server's transport takes before it says that it is full, with room."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a server has no event for it
            await asyncio.sleep(0.005)


def test_pings_of_an_anonymous_client_that_does_not_read_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        ends.append(send.__self__)
        send.__self__.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await live_socket(scope, receive, send)

    async def story() -> None:
        running = Process(Hub(), Places(1), Draining(list, within=1), asyncio.get_running_loop())
        monkeypatch.setattr(process, "_process", running)
        async with serving(application) as port:
            # It is closed first: the server would wait for it.
            with closing(socket.socket()) as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                raw.setblocking(False)
                await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
                key = base64.b64encode(secrets.token_bytes(16)).decode()
                lines = ["GET /live HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
                lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
                await asyncio.get_running_loop().sock_sendall(raw, "\r\n".join(lines).encode())
                await until(lambda: bool(ends) and ends[0].close_sent)
                (protocol,) = ends
                heard, receive_data = 0, protocol.conn.receive_data

                def count(data: bytes) -> None:
                    nonlocal heard
                    heard += len(data)
                    receive_data(data)

                protocol.conn.receive_data = count
                await asyncio.get_running_loop().sock_sendall(raw, PING * PINGS)
                await until(lambda: heard == len(PING) * PINGS)
                assert protocol.transport.get_write_buffer_size() <= MOST_KEPT

    asyncio.run(story())


def test_who_is_behind_with_its_reading_still_learns_that_the_connection_lives() -> None:
    async def story() -> None:
        async with accepted() as (send, client):
            limit(send)
            protocol = send.__self__  # type: ignore[attr-defined]  # a bound method
            client.transport.pause_reading()
            frame, written = Prepared("x" * 500_000), 0
            while protocol.writable.is_set():
                protocol.transport.write(frame.data)
                written += 1
                assert written < 100, "the network takes whatever it is given"
                await asyncio.sleep(0)
            heard, receive_data = asyncio.Event(), protocol.conn.receive_data

            def hear(data: bytes) -> None:
                receive_data(data)
                heard.set()

            protocol.conn.receive_data = hear
            async with asyncio.timeout(10):
                answered = await client.ping()
                await heard.wait()
                client.transport.resume_reading()
                for _ in range(written):
                    await client.recv()
                await answered

    asyncio.run(story())


def test_a_message_in_many_fragments_is_closed_as_too_large() -> None:
    ends: list[Any] = []

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        ends.append(send.__self__)
        await send({"type": "websocket.accept"})
        limit(send)
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": f"got {message['text']!r}"})

    async def story() -> None:
        async with asyncio.timeout(30), serving(application) as port:
            async with connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
                await client.send([""] * (MOST_FRAGMENTS - 1))
                assert await client.recv() == "got ''"
                with contextlib.suppress(ConnectionClosed):
                    await client.send([""] * (20 * MOST_FRAGMENTS))
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
            assert len(ends[0].frames) <= MOST_FRAGMENTS
            # What comes behind in the same packet ends it once more, or not at all.
            assert ends[0].queue.qsize() < 3

    asyncio.run(story())
