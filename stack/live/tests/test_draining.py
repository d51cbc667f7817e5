from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from stack.live.connection import Connection
from stack.live.draining import PACE, Draining
from stack.live.frames import Close
from stack.live.tests.wire import Wire


class Server:
    """What handles SIGTERM in a process, as a server does; notes when it was told."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.over = asyncio.Event()

    def handle(self, _number: int, _frame: object) -> None:
        self.told.append(time.monotonic())
        self.over.set()


class Crowd:
    """Sockets that leave when they are closed, unless they are stubborn."""

    def __init__(self, count: int, *, stubborn: bool = False) -> None:
        self.closed_at: list[float] = []
        self.order: list[int] = []
        self.begun = asyncio.Event()
        self.codes: set[int | None] = set()
        self._left: set[Connection] = set()
        self._stubborn = stubborn
        self.all = [self._socket(number) for number in range(count)]

    def open(self) -> list[Connection]:
        return [socket for socket in self.all if socket not in self._left]

    def _socket(self, number: int) -> Connection:
        wire = Wire()

        async def send(message: dict[str, object]) -> None:
            await wire.send(message)
            self.closed_at.append(time.monotonic())
            self.order.append(number)
            self.begun.set()
            self.codes.add(wire.code)
            if not self._stubborn:
                self._left.add(socket)

        socket = Connection(send, user=number, session="", expires=0.0, abort=wire.abort)
        return socket


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def ask() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sockets_are_closed_one_after_another_and_then_the_server_is_told() -> None:
    async def story() -> None:
        server, crowd = Server(), Crowd(40)
        signal.signal(signal.SIGTERM, server.handle)
        draining = Draining(crowd.open, within=10)
        draining.stand_by()
        began = time.monotonic()
        ask()
        async with asyncio.timeout(5):
            await server.over.wait()
        assert draining.begun
        assert crowd.codes == {Close.RESTART}
        assert len(crowd.order) == 40
        assert crowd.order != sorted(crowd.order)
        assert crowd.closed_at[-1] - began >= 39 * PACE * 0.9
        # Spread, and not in one or two heaps.
        assert crowd.closed_at[19] - began >= 19 * PACE * 0.9
        assert server.told[0] >= crowd.closed_at[-1]
        draining.stand_down()
        assert signal.getsignal(signal.SIGTERM) == server.handle

    asyncio.run(story())


def test_it_takes_no_longer_than_it_may() -> None:
    async def story() -> None:
        server, crowd = Server(), Crowd(200)
        signal.signal(signal.SIGTERM, server.handle)
        Draining(crowd.open, within=0.2).stand_by()
        began = time.monotonic()
        ask()
        async with asyncio.timeout(5):
            await server.over.wait()
        assert len(crowd.order) == 200
        assert 0.19 <= server.told[0] - began < 200 * PACE

    asyncio.run(story())


def test_without_sockets_there_is_no_delay() -> None:
    async def story() -> None:
        server = Server()
        signal.signal(signal.SIGTERM, server.handle)
        Draining(list, within=10).stand_by()
        began = time.monotonic()
        ask()
        async with asyncio.timeout(5):
            await server.over.wait()
        assert server.told[0] - began < 1.0

    asyncio.run(story())


def test_who_asks_twice_does_not_wait() -> None:
    async def story() -> None:
        server, crowd = Server(), Crowd(2000)
        signal.signal(signal.SIGTERM, server.handle)
        draining = Draining(crowd.open, within=10)
        draining.stand_by()
        ask()
        async with asyncio.timeout(5):
            await crowd.begun.wait()
        ask()
        async with asyncio.timeout(5):
            await server.over.wait()
        assert len(crowd.order) < 2000
        draining.stand_down()

    asyncio.run(story())


def test_clients_that_do_not_confirm_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.live.draining.GONE_WITHIN", 0.1)

    async def story() -> None:
        server, crowd = Server(), Crowd(3, stubborn=True)
        signal.signal(signal.SIGTERM, server.handle)
        Draining(crowd.open, within=10).stand_by()
        ask()
        async with asyncio.timeout(5):
            await server.over.wait()
        assert crowd.codes == {Close.RESTART}

    asyncio.run(story())


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_signal_that_no_server_handles_is_left_alone(handler: signal.Handlers) -> None:
    async def story() -> None:
        signal.signal(signal.SIGTERM, handler)
        draining = Draining(list, within=10)
        draining.stand_by()
        assert signal.getsignal(signal.SIGTERM) is handler
        draining.stand_down()

    asyncio.run(story())


def test_on_another_thread_it_does_nothing() -> None:
    async def story() -> None:
        Draining(list, within=10).stand_by()

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: asyncio.run(story()))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == before
