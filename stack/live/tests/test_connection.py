from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from stack.live.background import go_on
from stack.live.connection import MOST_PENDING, STUCK_AFTER, Connection
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

    def test_what_waits_is_counted_in_bytes(self) -> None:
        """A third as many characters, as each of them is three bytes."""

        async def story(letter: str, most: int) -> None:
            wire = Wire()
            wire.blocked = asyncio.Event()
            socket = Connection(wire.send, user=1, session="", expires=0.0, abort=wire.abort)
            text = json.dumps({"type": "event", "seq": 1, "filler": letter * 4096}, ensure_ascii=False)
            held = 0
            while socket._closing is None:
                socket.push(text)
                held += 1
                await asyncio.sleep(0)
            assert held == most // len(text.encode()) + 1
            wire.blocked.set()
            await wire.until(lambda: wire.code is not None)
            assert wire.code == Close.TOO_SLOW

        asyncio.run(story("x", MOST_PENDING))
        asyncio.run(story("€", MOST_PENDING))

    def test_a_network_that_takes_nothing_is_given_up(self) -> None:
        async def story() -> None:
            wire = Wire()
            wire.blocked = asyncio.Event()
            socket = Connection(wire.send, user=1, session="", expires=0.0, abort=wire.abort)
            closed = []
            now = time.monotonic()
            for pushed, after in ((False, 2 * STUCK_AFTER), (True, STUCK_AFTER / 2), (False, STUCK_AFTER + 1)):
                if pushed:
                    socket.push("{}")
                socket.close_if_stuck(now + after)
                closed.append(socket._closing)
            # Nothing waits for an idle one; then it has some time.
            assert closed == [None, None, Close.TOO_SLOW]
            socket.discard()

        asyncio.run(story())

    def test_a_server_that_takes_no_more_is_left_in_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It has given up the client, but waits for what was written before: nobody says that it is gone."""
        monkeypatch.setattr("stack.live.connection.CLOSE_WITHIN", 0.05)

        async def story() -> None:
            wire = Wire()

            async def refuses(_message: dict[str, Any]) -> None:
                raise RuntimeError("after sending 'websocket.close'")

            socket = Connection(refuses, user=1, session="", expires=0.0, abort=wire.abort)
            socket.push("{}")
            await wire.until(lambda: wire.aborted)

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
