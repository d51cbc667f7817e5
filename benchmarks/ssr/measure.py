"""Asks servers in turns and checks every answer: what is not what it should be is no measurement."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

WARM_UP = 20
"""Answers of each subject that are checked but not counted."""


class WrongAnswer(Exception):
    """A server gave something else than what is measured."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One kind of request. `check` says what is wrong with an answer's body, or nothing."""

    name: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    check: Callable[[bytes], str | None]


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one subject did in one turn: seconds for each answer, and seconds of the turn as a whole."""

    subject: str
    concurrency: int
    seconds: float
    times: tuple[float, ...]

    @property
    def p50(self) -> float:
        """Milliseconds."""
        return statistics.median(self.times) * 1000

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds


async def rounds(
    subjects: Sequence[Subject],
    *,
    count: int,
    concurrency: int,
    requests: int | None = None,
    seconds: float | None = None,
    told: Callable[[Round], None],
) -> list[Round]:
    """`count` rounds in which each subject has its turn, each round beginning with another one.

    A turn is `requests` answers, or as many as there are in `seconds`. Raises `WrongAnswer`.
    """
    found: list[Round] = []
    for number in range(count):
        turn = number % len(subjects)
        for subject in (*subjects[turn:], *subjects[:turn]):
            done = await _turn(subject, concurrency=concurrency, requests=requests, seconds=seconds)
            told(done)
            found.append(done)
    return found


async def warm_up(subjects: Sequence[Subject]) -> None:
    """Let code be compiled and connections be made. Raises `WrongAnswer`."""
    for subject in subjects:
        await _turn(subject, concurrency=2, requests=WARM_UP, seconds=None)


async def _turn(subject: Subject, *, concurrency: int, requests: int | None, seconds: float | None) -> Round:
    times: list[float] = []
    left = iter(range(requests if requests is not None else 1_000_000))
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        began = time.perf_counter()

        async def ask() -> None:
            for _ in left:
                if seconds is not None and time.perf_counter() - began >= seconds:
                    return
                times.append(await _one(session, subject))

        await asyncio.gather(*(ask() for _ in range(concurrency)))
        whole = time.perf_counter() - began
    return Round(subject=subject.name, concurrency=concurrency, seconds=whole, times=tuple(times))


async def _one(session: aiohttp.ClientSession, subject: Subject) -> float:
    began = time.perf_counter()
    async with session.request(
        subject.method, subject.url, data=subject.body, headers=subject.headers, allow_redirects=False
    ) as response:
        body = await response.read()
        took = time.perf_counter() - began
        wrong = f"status {response.status}" if response.status != 200 else subject.check(body)
    if wrong:
        raise WrongAnswer(f"{subject.name} ({subject.url}) answered something else: {wrong}.")
    return took
