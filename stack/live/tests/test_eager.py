from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from stack.live.connection import Connection
from stack.live.eager import begin
from stack.live.tests.wire import Wire


def connection(wire: Wire) -> Connection:
    return Connection(wire.send, user=1, session="", expires=0.0, abort=wire.abort)


class TestBegin:
    def test_a_call_that_does_not_wait_has_ended(self) -> None:
        done = []

        async def call() -> None:
            done.append(1)

        assert begin(call()) is None
        assert done == [1]

    def test_its_error_is_the_callers(self) -> None:
        async def call() -> None:
            raise KeyError("why")

        with pytest.raises(KeyError, match="why"):
            begin(call())

    def test_what_waits_goes_on_in_a_task_however_often(self) -> None:
        async def story() -> None:
            loop = asyncio.get_running_loop()
            first, second = loop.create_future(), loop.create_future()
            seen = []

            async def call() -> None:
                seen.append(await first)
                await asyncio.sleep(0)
                seen.append(await second)

            rest = begin(call())
            assert rest is not None
            task = asyncio.ensure_future(rest)
            first.set_result("one")
            await asyncio.sleep(0)
            assert not task.done()
            second.set_result("two")
            async with asyncio.timeout(5):
                await task
            assert seen == ["one", "two"]

        asyncio.run(story())

    def test_a_later_error_is_the_tasks(self) -> None:
        async def story() -> None:
            never = asyncio.get_running_loop().create_future()

            async def call() -> None:
                await never

            rest = begin(call())
            assert rest is not None
            never.set_exception(OSError("gone"))
            with pytest.raises(OSError, match="gone"):
                await rest

        asyncio.run(story())

    def test_who_is_cancelled_while_waiting_may_clean_up(self) -> None:
        async def story() -> None:
            cleaned = []

            async def call() -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0)
                    cleaned.append(1)

            rest = begin(call())
            assert rest is not None
            task = asyncio.ensure_future(rest)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert cleaned == [1]

        asyncio.run(story())

    def test_what_is_no_coroutine_is_left_to_the_task(self) -> None:
        class Call:
            def __await__(self) -> Generator[None, None, None]:
                yield from ()

        call = Call()
        assert begin(call) is call


class TestConnection:
    def test_a_frame_is_written_when_push_returns_and_no_task_is_left(self) -> None:
        async def story() -> None:
            wire = Wire()
            socket = connection(wire)
            socket.push('{"seq": 1}')
            socket.push('{"seq": 2}')
            assert [frame["seq"] for frame in wire.frames] == [1, 2]
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert socket.waiting == 0

        asyncio.run(story())

    def test_behind_one_that_has_to_wait_the_order_stays(self) -> None:
        async def story() -> None:
            wire = Wire()
            socket = connection(wire)
            socket.push('{"seq": 1}')
            wire.blocked = asyncio.Event()
            for number in (2, 3):
                socket.push(f'{{"seq": {number}}}')
            assert socket.waiting == 2 * len('{"seq": 2}')
            # A network that takes something again is not given what came later first.
            wire.blocked.set()
            socket.push('{"seq": 4}')
            async with asyncio.timeout(5):
                await socket.drained()
            socket.push('{"seq": 5}')
            assert [frame["seq"] for frame in wire.frames] == [1, 2, 3, 4, 5]
            assert socket.waiting == 0

        asyncio.run(story())

    @pytest.mark.parametrize("begun", [True, False])
    def test_who_is_gone_leaves_no_task(self, begun: bool) -> None:
        async def story() -> None:
            wire = Wire()
            wire.blocked = asyncio.Event()
            socket = connection(wire)
            socket.push("{}")
            if begun:
                await asyncio.sleep(0)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert len(others) == 1
            socket.discard()
            _, left = await asyncio.wait(others, timeout=5)
            assert not left
            wire.blocked.set()
            socket.push("{}")
            assert wire.frames == []

        asyncio.run(story())
