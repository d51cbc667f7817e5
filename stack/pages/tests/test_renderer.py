"""The client of the renderers, against real servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from stack.pages import breaker
from stack.pages import renderer as under_test
from stack.pages.renderer import MOST_ASKED, MOST_AT_ONCE, MOST_WAITING, NotRendered, Question, Reason, Renderers
from stack.pages.tests.wire import (
    Behaviour,
    FakeRenderer,
    Seen,
    freezes,
    renderer,
    resets,
    resets_in_the_body,
    run,
    says,
)

QUESTION = Question("/chats/42/", b'{"version": 1}', {"Content-Type": "application/json", "Host": "example.org"})


async def outcome(asked: Awaitable[bytes]) -> str:
    """`rendered`, or why not."""
    try:
        await asked
    except NotRendered as failed:
        return failed.reason.value
    return "rendered"


def with_one(
    behaviour: Behaviour, work: Callable[[FakeRenderer, Renderers], Awaitable[None]], **options: float
) -> None:
    """Run work with a renderer and its client, which is closed afterwards."""

    async def whole() -> None:
        async with renderer(behaviour) as fake:
            asked = Renderers([fake.url], **options)
            try:
                await work(fake, asked)
            finally:
                await asked.close()

    run(whole())


def unused() -> str:
    """An origin at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_the_page_and_what_the_renderer_got() -> None:
    async def work(fake: FakeRenderer, asked: Renderers) -> None:
        assert await asked.render(QUESTION) == b"<!DOCTYPE html><p>rendered</p>"
        headers = (("content-type", "application/json"), ("host", "example.org"), ("content-length", "14"))
        (seen,) = fake.seen
        assert (seen.method, seen.path, seen.body) == ("POST", "/chats/42/", b'{"version": 1}')
        assert sorted(seen.headers) == sorted(headers)

    with_one(says(), work)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (freezes, Reason.TIMEOUT),
        (resets, Reason.ERROR),
        (resets_in_the_body, Reason.ERROR),
        (says(status="500 Internal Server Error"), Reason.STATUS),
        (says(status="404 Not Found"), Reason.STATUS),
        (says(status="307 Temporary Redirect", more="Location: /chats/42/\r\n"), Reason.STATUS),
        (says(content_type="application/json"), Reason.INVALID),
        (says(content_type="text/html-not"), Reason.INVALID),
    ],
    ids=["freezes", "resets", "resets in the body", "500", "404", "redirects", "json", "a type like HTML"],
)
def test_misbehaviour(behaviour: Behaviour, reason: Reason) -> None:
    async def work(_fake: FakeRenderer, asked: Renderers) -> None:
        assert await outcome(asked.render(QUESTION)) == reason

    with_one(behaviour, work, budget=0.3)


def test_an_answer_too_large_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "MOST_BYTES", 100_000)

    async def floods(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def work(fake: FakeRenderer, asked: Renderers) -> None:
        assert await outcome(asked.render(QUESTION)) == Reason.INVALID
        await fake.left.wait()

    with_one(floods, work)


def test_nobody_listens() -> None:
    async def work() -> None:
        asked = Renderers([unused()])
        found = [await outcome(asked.render(QUESTION)) for _ in range(4)]
        assert found == ["refused", "refused", "refused", "open"]
        assert asked.states == ["open"]
        await asked.close()

    run(work())


def test_no_renderer_at_all() -> None:
    assert run(outcome(Renderers([]).render(QUESTION))) == Reason.OFF


def test_the_404_page_is_right_with_404() -> None:
    async def work(_fake: FakeRenderer, asked: Renderers) -> None:
        assert await asked.render(Question("/404/", b"{}", {}, status=404)) == b"<p>nothing"
        assert await outcome(asked.render(QUESTION)) == Reason.STATUS

    with_one(says(b"<p>nothing", status="404 Not Found"), work)


def test_a_frozen_renderer_costs_its_budget_and_then_nothing() -> None:
    async def work(fake: FakeRenderer, asked: Renderers) -> None:
        for _ in range(3):
            assert await outcome(asked.render(QUESTION)) == Reason.TIMEOUT
        begun = time.monotonic()
        assert await outcome(asked.render(QUESTION)) == Reason.OPEN
        assert time.monotonic() - begun < 0.1
        assert len(fake.seen) == 3

    with_one(freezes, work, budget=0.2)


def test_one_request_at_a_time_tries_whether_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "SHORTEST", 0.1)

    async def until(asked: Renderers, wanted: str) -> None:
        async with asyncio.timeout(10):
            while (found := await outcome(asked.render(QUESTION))) != wanted:
                assert found == Reason.OPEN
                await asyncio.sleep(0.01)

    async def work(fake: FakeRenderer, asked: Renderers) -> None:
        for _ in range(3):
            assert await outcome(asked.render(QUESTION)) == Reason.ERROR
        await until(asked, Reason.ERROR)
        assert (len(fake.seen), asked.states) == (4, ["open"])
        fake.behaviour = says()
        await until(asked, "rendered")
        assert (len(fake.seen), asked.states) == (5, ["closed"])

    with_one(resets, work)


def test_a_client_that_leaves_while_it_tries_does_not_keep_it_open() -> None:
    async def work(fake: FakeRenderer, asked: Renderers) -> None:
        for _ in range(3):
            await outcome(asked.render(QUESTION))
        fake.behaviour = freezes
        fake.arrived.clear()
        trying = None
        async with asyncio.timeout(10):
            while not fake.arrived.is_set():
                trying = asyncio.ensure_future(outcome(asked.render(QUESTION)))
                await asyncio.wait([trying, asyncio.ensure_future(fake.arrived.wait())], timeout=0.05)
        assert trying is not None
        assert asked.states == ["half-open"]
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)
        fake.behaviour = says()
        assert await outcome(asked.render(QUESTION)) == "rendered"

    with_one(resets, work)


def test_so_many_at_once_some_wait_the_rest_goes_away_at_once() -> None:
    release = asyncio.Event()
    busy, most = 0, 0

    async def holds(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await release.wait()
        busy -= 1
        await says()(seen, reader, writer)

    async def work(fake: FakeRenderer, asked: Renderers) -> None:
        tasks = [asyncio.ensure_future(outcome(asked.render(QUESTION))) for _ in range(MOST_AT_ONCE + MOST_WAITING + 5)]
        done, _ = await asyncio.wait(tasks, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {Reason.FULL}
        release.set()
        found = await asyncio.gather(*tasks)
        assert found.count("rendered") == MOST_AT_ONCE + MOST_WAITING
        assert found.count(Reason.FULL) == 5
        assert most <= MOST_AT_ONCE

    with_one(holds, work, budget=15)


def test_who_waits_in_vain_is_not_kept() -> None:
    async def work(fake: FakeRenderer, asked: Renderers) -> None:
        tasks = [asyncio.ensure_future(outcome(asked.render(QUESTION))) for _ in range(MOST_AT_ONCE + 1)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result() for task in done] == [Reason.FULL]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # All places are free again, and those who left are not counted as failures.
        fake.behaviour = says()
        found = await asyncio.gather(*(outcome(asked.render(QUESTION)) for _ in range(MOST_AT_ONCE)))
        assert set(found) == {"rendered"}

    with_one(freezes, work, budget=10)


class TestOneViewerAmongAll:
    @pytest.mark.parametrize(
        ("behaviour", "opens"),
        [
            (says(status="500 Internal Server Error"), False),
            (says(content_type="application/json"), False),
            (resets, True),
            (freezes, True),
        ],
        ids=["500", "json", "resets", "freezes"],
    )
    def test_only_what_is_not_their_pages_fault_opens_the_breaker(self, behaviour: Behaviour, opens: bool) -> None:
        async def work(_fake: FakeRenderer, asked: Renderers) -> None:
            for _ in range(5):
                await outcome(asked.render(replace(QUESTION, viewer=7)))
            assert asked.states == ["open" if opens else "closed"]

        with_one(behaviour, work, budget=0.2)

    def test_what_fails_for_several_or_for_strangers_opens_it(self) -> None:
        async def work(_fake: FakeRenderer, asked: Renderers) -> None:
            for viewer in (7, 8, None):
                assert asked.states == ["closed"]
                assert await outcome(asked.render(replace(QUESTION, viewer=viewer))) == Reason.STATUS
            assert asked.states == ["open"]

        with_one(says(status="500 Internal Server Error"), work)

    def test_too_much_to_see_is_not_asked_for(self) -> None:
        async def work(fake: FakeRenderer, asked: Renderers) -> None:
            assert await outcome(asked.render(replace(QUESTION, body=b" " * (MOST_ASKED + 1)))) == Reason.LARGE
            assert not fake.seen
            assert await outcome(asked.render(replace(QUESTION, body=b" " * MOST_ASKED))) == "rendered"
            assert asked.states == ["closed"]

        with_one(says(), work)

    def test_they_have_a_share_of_it_at_a_time(self) -> None:
        release = asyncio.Event()

        async def holds(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            await says()(seen, reader, writer)

        async def work(fake: FakeRenderer, asked: Renderers) -> None:
            half = replace(QUESTION, body=b" " * (MOST_ASKED // 2), viewer=7)
            tasks = []
            for viewer in (7, 7, 8):
                tasks.append(asyncio.ensure_future(outcome(asked.render(replace(half, viewer=viewer)))))
                await fake.arrived.wait()
                fake.arrived.clear()
            assert await outcome(asked.render(replace(QUESTION, viewer=7))) == Reason.FULL
            release.set()
            assert await asyncio.gather(*tasks) == ["rendered"] * 3
            # What is over takes no share any more, however it ended.
            fake.behaviour = resets
            assert await outcome(asked.render(half)) == Reason.ERROR
            fake.behaviour = says()
            assert await asyncio.gather(*(outcome(asked.render(half)) for _ in range(2))) == ["rendered"] * 2

        with_one(holds, work, budget=15)


def test_a_cancelled_question_ends_at_the_renderer_too() -> None:
    async def work(fake: FakeRenderer, asked: Renderers) -> None:
        task = asyncio.ensure_future(asked.render(QUESTION))
        await fake.arrived.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await fake.left.wait()

    with_one(freezes, work, budget=15)


class TestSeveral:
    def test_they_share_the_work(self) -> None:
        async def work() -> None:
            async with renderer(says()) as first, renderer(says()) as second:
                asked = Renderers([first.url, second.url])
                for _ in range(6):
                    await asked.render(QUESTION)
                assert (len(first.seen), len(second.seen)) == (3, 3)
                first.behaviour = freezes
                first.arrived.clear()
                stuck = asyncio.ensure_future(asked.render(QUESTION))
                await first.arrived.wait()
                for _ in range(4):
                    await asked.render(QUESTION)
                assert (len(first.seen), len(second.seen)) == (4, 7)
                stuck.cancel()
                await asyncio.gather(stuck, return_exceptions=True)
                await asked.close()

        run(work())

    @pytest.mark.parametrize("gone", [True, False], ids=["refuses", "resets"])
    def test_another_one_is_asked_once(self, gone: bool) -> None:
        async def work() -> None:
            async with renderer(resets) as first, renderer(says()) as second:
                asked = Renderers([unused() if gone else first.url, second.url])
                found = [await outcome(asked.render(QUESTION)) for _ in range(10)]
                assert found == ["rendered"] * 10
                assert len(second.seen) == 10
                assert sorted(asked.states) == ["closed", "open"]
                await asked.close()

        run(work())

    def test_not_after_the_first_byte_and_not_after_a_timeout(self) -> None:
        async def work() -> None:
            for behaviour, reason in ((resets_in_the_body, Reason.ERROR), (freezes, Reason.TIMEOUT)):
                async with renderer(behaviour) as first, renderer(says()) as second:
                    asked = Renderers([first.url, second.url], budget=0.3)
                    assert await outcome(asked.render(QUESTION)) == reason
                    assert (len(first.seen), len(second.seen)) == (1, 0)
                    await asked.close()

        run(work())

    def test_two_that_fail_are_asked_once_each(self) -> None:
        async def work() -> None:
            async with renderer(resets) as first, renderer(resets) as second:
                asked = Renderers([first.url, second.url])
                assert await outcome(asked.render(QUESTION)) == Reason.ERROR
                assert (len(first.seen), len(second.seen)) == (1, 1)
                await asked.close()

        run(work())
