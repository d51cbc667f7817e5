from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from stack.live.background import go_on
from stack.live.connection import MOST_PENDING, Connection
from stack.live.frames import Close
from stack.live.tests.wire import Wire


class TestConnection:
    def test_one_frame_closes_nobody_however_large(self) -> None:
        async def story() -> None:
            wire = Wire()
            socket = Connection(wire.send, user=1, session="", expires=0.0, abort=wire.abort)
            for _ in range(3):
                socket.push(json.dumps({"type": "event", "seq": 1, "filler": "x" * 2 * MOST_PENDING}))
                await socket.drained()
            assert (len(wire.frames), wire.code) == (3, None)

        asyncio.run(story())

    def test_a_large_snapshot_closes_nobody_nor_does_what_waits_behind_it(self) -> None:
        async def story() -> None:
            wire = Wire()
            wire.blocked = asyncio.Event()
            socket = Connection(wire.send, user=1, session="", expires=0.0, abort=wire.abort)
            socket.push(json.dumps({"type": "snapshot", "filler": "x" * 2 * MOST_PENDING}), counted=False)
            socket.push('{"type": "heartbeat"}')
            large = json.dumps({"type": "event", "seq": 1, "filler": "x" * (MOST_PENDING // 2)})
            socket.push(large)
            wire.blocked.set()
            async with asyncio.timeout(5):
                await socket.drained()
            assert [frame["type"] for frame in wire.frames] == ["snapshot", "heartbeat", "event"]
            assert wire.code is None

            wire.blocked.clear()
            for _ in range(4):
                socket.push(large)
            wire.blocked.set()
            await wire.until(lambda: wire.code is not None)
            assert wire.code == Close.TOO_SLOW

        asyncio.run(story())

    def test_who_asks_and_does_not_read_waits_for_the_next_answer(self) -> None:
        async def story() -> None:
            wire = Wire()
            wire.blocked = asyncio.Event()
            socket = Connection(wire.send, user=1, session="", expires=0.0, abort=wire.abort)
            socket.push("{}", counted=False)
            waiting = asyncio.create_task(socket.drained())
            done, _ = await asyncio.wait({waiting}, timeout=0.05)
            assert not done
            wire.blocked.set()
            async with asyncio.timeout(5):
                await waiting
            assert len(wire.frames) == 1

        asyncio.run(story())

    def test_a_frame_that_cannot_be_written_ends_the_socket(self, caplog: pytest.LogCaptureFixture) -> None:
        async def story() -> None:
            wire = Wire()

            async def broken(_message: dict[str, Any]) -> None:
                raise UnicodeError("no such text")

            socket = Connection(broken, user=1, session="", expires=0.0, abort=wire.abort)
            socket.push("{}")
            await wire.until(lambda: wire.aborted)

        asyncio.run(story())
        assert "could not be written" in caplog.text


def test_background_work_begins_anew_after_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stack.live.background._PAUSE", 0.01)

    async def story() -> None:
        begun = asyncio.Semaphore(0)

        async def work() -> None:
            begun.release()
            raise KeyError("of another version")

        task = go_on(work)
        async with asyncio.timeout(5):
            for _ in range(3):
                await begun.acquire()
        task.cancel()

    asyncio.run(story())
    assert "begins anew" in caplog.text
