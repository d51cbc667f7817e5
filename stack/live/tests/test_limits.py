from __future__ import annotations

import asyncio
import time
from collections import deque

import pytest

from stack.live import limits
from stack.live.frames import Close, Load, ProtocolError
from stack.live.limits import BURST, MOST_PER_USER, MOST_WAITING, RATE, Allowance, Places, Requests


def load(number: int) -> str:
    return f'{{"type":"load","id":{number},"scope":"chat:1"}}'


class Client:
    """Sends `count` requests and has at most `out` of them unanswered."""

    def __init__(self, *, count: int, out: int) -> None:
        self.left = count
        self.sent = 0
        self.under_way: deque[str | None] = deque()
        self._arrived = asyncio.Event()
        for _ in range(min(out, count)):
            self.send()

    def send(self) -> None:
        if self.left:
            self.left -= 1
            self.sent += 1
            self.under_way.append(load(self.sent))
            self._arrived.set()

    async def receive(self) -> str | None:
        while not self.under_way:
            self._arrived.clear()
            await self._arrived.wait()
        return self.under_way.popleft()


class TestAllowance:
    def test_a_burst_goes_through_and_then_it_is_the_rate(self) -> None:
        allowance = Allowance()
        assert [allowance.take(100.0) for _ in range(BURST)] == pytest.approx([0.0] * BURST, abs=1e-6)
        assert [allowance.take(100.0) for _ in range(3)] == pytest.approx([1 / RATE, 2 / RATE, 3 / RATE])

    def test_what_is_not_used_is_saved_up_to_a_burst(self) -> None:
        allowance = Allowance()
        for _ in range(BURST):
            allowance.take(100.0)
        assert [allowance.take(101.0) for _ in range(int(RATE))] == pytest.approx([0.0] * int(RATE), abs=1e-6)
        assert allowance.take(101.0) > 0
        later = 1e6
        assert [allowance.take(later) for _ in range(BURST)] == pytest.approx([0.0] * BURST, abs=1e-6)
        assert allowance.take(later) > 0


class TestRequests:
    def test_whoever_waits_for_answers_is_never_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "RATE", 1000.0)

        async def story() -> float:
            client = Client(count=BURST + 300, out=4)
            requests = Requests(client.receive)
            began = time.monotonic()
            for number in range(1, BURST + 301):
                request = await requests.next()
                assert request == Load(number, "chat:1")
                client.send()
            return time.monotonic() - began

        assert asyncio.run(story()) >= 0.29

    def test_a_flood_is_closed(self) -> None:
        async def story() -> int:
            client = Client(count=10_000, out=10_000)
            requests = Requests(client.receive)
            answered = 0

            async def answer_all() -> None:
                nonlocal answered
                while True:
                    await requests.next()
                    answered += 1

            with pytest.raises(ProtocolError) as raised:
                await answer_all()
            assert raised.value.code is Close.TOO_OFTEN
            # It was not read to the end, either.
            assert client.sent - len(client.under_way) == MOST_WAITING + 2
            return answered

        assert asyncio.run(story()) == 0

    def test_a_burst_is_none(self) -> None:
        async def story() -> None:
            client = Client(count=BURST, out=BURST)
            requests = Requests(client.receive)
            async with asyncio.timeout(5):
                for number in range(1, BURST + 1):
                    assert await requests.next() == Load(number, "chat:1")

        asyncio.run(story())

    def test_nonsense_is_found_while_others_wait(self) -> None:
        async def story() -> None:
            client = Client(count=3, out=3)
            client.under_way += ["nonsense"]
            requests = Requests(client.receive)
            with pytest.raises(ProtocolError) as raised:
                await requests.next()
            assert raised.value.code is Close.MALFORMED

        asyncio.run(story())


class TestPlaces:
    def test_a_process_has_so_many(self) -> None:
        places = Places(2)
        with places.one(), places.one():
            with pytest.raises(ProtocolError) as raised, places.one():
                pass
            assert raised.value.code is Close.FULL
        with places.one(), places.one():
            pass

    def test_a_user_has_so_many_and_another_one_too(self) -> None:
        places = Places(10_000)
        taken = [places.one_of(7) for _ in range(MOST_PER_USER)]
        for place in taken:
            place.__enter__()
        with pytest.raises(ProtocolError) as raised, places.one_of(7):
            pass
        assert raised.value.code is Close.TOO_MANY
        with places.one_of(8):
            pass
        taken[0].__exit__(None, None, None)
        with places.one_of(7):
            pass

    def test_one_is_free_again_after_an_error(self) -> None:
        places = Places(1)
        for _ in range(3):
            with pytest.raises(KeyError), places.one(), places.one_of(7):
                raise KeyError
        assert not places._by_user
