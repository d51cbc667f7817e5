from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stack.live import process
from stack.live.draining import Draining
from stack.live.frames import Close
from stack.live.hub import Hub
from stack.live.limits import Places
from stack.live.process import Process
from stack.live.socket import live_socket


class Transport:
    """What a server writes to, with so many bytes that nobody takes."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        return self.left

    def abort(self) -> None:
        self.aborted.set()


class Server:
    """One socket as a server hands it to the application."""

    def __init__(self, left: int = 0) -> None:
        self.transport = Transport(left)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)


async def visit(monkeypatch: pytest.MonkeyPatch, server: Server, *, places: int, draining: bool = False) -> None:
    drain = Draining(list, within=1)
    drain.begun = draining
    running = Process(Hub(), Places(places), drain, asyncio.get_running_loop())
    monkeypatch.setattr(process, "_process", running)
    await live_socket({"headers": []}, server.receive, server.send)


@pytest.mark.parametrize(
    ("places", "draining", "code"),
    [(0, False, Close.FULL), (1, True, Close.RESTART), (0, True, Close.RESTART), (1, False, Close.SIGNED_OUT)],
    ids=["full", "draining", "both", "neither"],
)
def test_who_is_let_in(monkeypatch: pytest.MonkeyPatch, places: int, draining: bool, code: Close) -> None:
    server = Server()
    asyncio.run(visit(monkeypatch, server, places=places, draining=draining))
    assert [message["type"] for message in server.sent] == ["websocket.accept", "websocket.close"]
    assert server.sent[-1]["code"] == code


@pytest.mark.parametrize("left", [0, 1000], ids=["what comes later", "what was written"])
def test_a_client_that_does_not_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    monkeypatch.setattr("stack.live.socket.READ_WITHIN", 0.05)

    async def story() -> None:
        server = Server(left)
        await visit(monkeypatch, server, places=1)
        server.transport.left = 1000
        async with asyncio.timeout(5):
            await server.transport.aborted.wait()

    asyncio.run(story())
