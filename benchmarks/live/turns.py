"""One turn of one server: what its sockets cost, then how soon changes are at all of them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from benchmarks.live import crowd as crowds
from benchmarks.live.apart import Log, apart
from benchmarks.live.crowd import Crowd, Dialect, Failed
from benchmarks.live.data import Measured
from benchmarks.live.pace import missed
from benchmarks.live.publisher import Publisher, publishing
from benchmarks.live.result import (
    BARE,
    ENGINE,
    HUB,
    OFTEN,
    REST,
    SOCKETIO,
    SQL,
    STOCK,
    Held,
    Last,
    Paced,
    Result,
    percentile,
)
from benchmarks.live.servers import Server
from benchmarks.live.tally import Tally

ARRIVES_WITHIN = 30.0
RELAYED_WITHIN = 120.0
WARM_UP = 3
FIRST_SOCKETS = 10
STEADY = 0.01
"""Share by which memory may still move when it is steady."""
LEAST_CHANGES, MOST_CHANGES = 3, 300
PREFIX = "stack"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured.

    Attributes:
        sockets: the most of them; a tenth and a half are measured too.
        changes: of a turn in which one follows when the last one is everywhere.
        seconds: of a turn at a fixed rate.
        rows, singles: inserted at once and one by one, in a turn.
    """

    sockets: int = 2000
    rounds: int = 5
    changes: int = 25
    seconds: float = 8.0
    rows: int = 50_000
    singles: int = 1000

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(sorted({max(1, self.sockets // 10), max(1, self.sockets // 2), self.sockets}))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where everything is: the services' addresses, the users, and what a change looks like to a client.

    Attributes:
        text: a frame of this engine with a change; all others send the same bytes.
    """

    database: str
    redis: str
    measured: Measured
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One way to publish, ready, and what has to be so while it is used."""

    name: str
    publisher: Publisher
    log: Callable[[], Any] = nullcontext

    async def publish(self, tally: Tally, log: Log | None) -> float | None:
        """One change; seconds until it was at the last socket, None where that took too long."""
        number = tally.next()
        published = await self.publisher.publish(number, **_order(log))
        if log is not None:
            log.published(1)
        if not await tally.whole(number, within=ARRIVES_WITHIN):
            return None
        return published.latency(tally.times(number)[-1])


def _order(log: Log | None) -> dict[str, Any]:
    return {} if log is None else {"log": log.order}


async def hold(server: Server, name: str, dialect: Dialect, place: Place, size: Size) -> Held:
    """Connect all sockets, look at the memory, cut all connections and have them back at once."""
    sessions = place.measured.idle

    def crowd(dialect: Dialect) -> Crowd:
        return Crowd(server.address, dialect, sessions=sessions, tally=Tally())

    first = crowd(dialect)
    # Its code and its connections are not what a socket costs.
    await first.grow(min(FIRST_SOCKETS, size.sockets))
    await first.drop(graceful=True)
    before = await _steady(server)
    full = crowd(dialect)
    took = await full.grow(size.sockets)
    kib = (await _steady(server) - before) / size.sockets / 1024
    # Clients of this engine come back with their cursor.
    resuming = crowds.engine(full.cursor) if name == ENGINE else dialect
    await full.drop()
    again = crowd(resuming)
    storm = await again.grow(size.sockets, at_once=size.sockets)
    await again.drop(graceful=True)
    return Held(server=name, connects=size.sockets / took, kib=kib, storm=storm)


async def _steady(server: Server) -> int:
    """The memory once it no longer grows."""
    last = 0
    for _ in range(20):
        now = server.memory
        if abs(now - last) <= STEADY * now:
            return now
        last = now
        await asyncio.sleep(0.5)
    return last


async def deliver(
    crowd: Crowd, subjects: list[Subject], result: Result, size: Size, *, rates: Mapping[str, tuple[float, ...]]
) -> None:
    """Publish in all ways, to more and more sockets, then at fixed rates to all of them; adds to the result."""
    for step in size.steps:
        await crowd.grow(step)
        for subject in subjects:
            with subject.log() as log:
                for _ in range(WARM_UP):
                    await subject.publish(crowd.tally, log)
                found = [await subject.publish(crowd.tally, log) for _ in range(size.changes)]
            arrived = tuple(seconds * 1000 for seconds in found if seconds is not None)
            if not arrived:
                raise Failed(f"No change arrived at all {step} sockets: {subject.name}.")
            result.last.append(Last(subject=subject.name, sockets=step, ms=arrived))
    for subject in subjects:
        for rate in rates[subject.name]:
            result.paced.append(await _keep_pace(crowd, subject, rate=rate, seconds=size.seconds))
    crowd.check()


async def _keep_pace(crowd: Crowd, subject: Subject, *, rate: float, seconds: float) -> Paced:
    tally = crowd.tally
    count = min(max(LEAST_CHANGES, round(rate * seconds)), MOST_CHANGES)
    numbers = [tally.next() for _ in range(count)]
    with subject.log() as log:
        order = _order(log)
        published = await subject.publisher.keep_pace(numbers[0], count=count, period=1 / rate, **order)
        if log is not None:
            log.published(count)
        for number in numbers:
            await tally.whole(number, within=ARRIVES_WITHIN)
    latencies = sorted(one.latency(at) * 1000 for one in published for at in tally.times(one.number))
    if not latencies:
        raise Failed(f"No change arrived: {subject.name}.")
    p50, p95, p99 = (percentile(latencies, share) for share in (0.5, 0.95, 0.99))
    late = missed(published, period=1 / rate)
    return Paced(subject=subject.name, rate=rate, changes=count, missed=late, p50=p50, p95=p95, p99=p99)


@asynccontextmanager
async def engine_subjects(server: Server, place: Place, epoch: str) -> AsyncGenerator[list[Subject]]:
    """The ways to publish to this engine: without a database, by REST and by SQL."""
    measured = place.measured
    scope = f"chat:{measured.chat}"
    async with (
        publishing("hub", redis=place.redis, prefix=PREFIX, group="live") as hub,
        publishing("rest", address=server.address, chat=measured.chat, session=measured.session) as rest,
        publishing("sql", database=place.database, chat=measured.chat, writer=measured.writer) as sql,
    ):
        yield [
            Subject(name=HUB, publisher=hub, log=lambda: apart(place.database, epoch=epoch, scope=scope)),
            Subject(name=REST, publisher=rest),
            Subject(name=SQL, publisher=sql),
        ]


async def pattern(server: Server, place: Place) -> Place:
    """The place, with a frame of this engine as a change that was written by SQL makes it.

    Before, the relay has told of all the users and chats.
    """
    measured = place.measured
    await _relayed(place.database)
    crowd = Crowd(server.address, crowds.engine(None), sessions=measured.sessions(1), tally=Tally())
    await crowd.grow(1)
    async with publishing("sql", database=place.database, chat=measured.chat, writer=measured.writer) as publisher:
        if await Subject(name=SQL, publisher=publisher).publish(crowd.tally, None) is None:
            raise Failed("This engine told no change.")
    await crowd.drop(graceful=True)
    return replace(place, text=crowd.sample.decode())


async def _relayed(database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        deadline = time.monotonic() + RELAYED_WITHIN
        while await (await connection.execute("SELECT FROM live_outbox LIMIT 1")).fetchone() is not None:
            if time.monotonic() > deadline:
                raise Failed(f"The relay has not told of the users in {RELAYED_WITHIN:.0f} s.")
            await asyncio.sleep(0.1)


async def engine_turn(server: Server, place: Place, size: Size, result: Result, *, shift: int) -> None:
    """This engine's turn, which begins with another way to publish in each round."""
    result.held.append(await hold(server, ENGINE, crowds.engine(None), place, size))
    scout = Crowd(server.address, crowds.engine(None), sessions=place.measured.sessions(1), tally=Tally())
    await scout.grow(1)
    cursor = scout.cursor
    await scout.drop(graceful=True)
    sessions = place.measured.sessions(size.sockets)
    crowd = Crowd(server.address, crowds.engine(cursor), sessions=sessions, tally=Tally())
    rates = dict.fromkeys((HUB, REST, SQL), (result.half, OFTEN))
    async with engine_subjects(server, place, cursor.epoch) as subjects:
        begin = shift % len(subjects)
        await deliver(crowd, [*subjects[begin:], *subjects[:begin]], result, size, rates=rates)
    await crowd.drop(graceful=True)
    result.counts += crowd.tally.counts


async def peer_turn(name: str, server: Server, place: Place, size: Size, result: Result) -> None:
    """A peer's turn."""
    dialect = {STOCK: crowds.STOCK, BARE: crowds.BARE, SOCKETIO: crowds.SOCKETIO}[name]
    result.held.append(await hold(server, name, dialect, place, size))
    async with _peer(name, server, place) as publisher:
        crowd = Crowd(server.address, dialect, sessions=place.measured.sessions(size.sockets), tally=Tally())
        # More than it can would only show how long the queue has become.
        often = (OFTEN,) if name != STOCK or result.capacity * 0.8 >= OFTEN else ()
        rates = {name: (result.half, *often)}
        await deliver(crowd, [Subject(name=name, publisher=publisher)], result, size, rates=rates)
        await crowd.drop(graceful=True)


async def capacity(server: Server, place: Place, size: Size) -> float:
    """Changes a second that the stock consumer can tell to all sockets, one after the other."""
    async with _peer(STOCK, server, place) as publisher:
        tally = Tally()
        sessions = place.measured.sessions(size.sockets)
        crowd = Crowd(server.address, crowds.STOCK, sessions=sessions, tally=tally)
        await crowd.grow(size.sockets)
        subject = Subject(name=STOCK, publisher=publisher)
        found = [await subject.publish(tally, None) for _ in range(WARM_UP + size.changes)]
        await crowd.drop(graceful=True)
    arrived = [seconds for seconds in found[WARM_UP:] if seconds is not None]
    if not arrived:
        raise Failed("The stock consumer told no change to all sockets.")
    return 1 / statistics.median(arrived)


@asynccontextmanager
async def _peer(name: str, server: Server, place: Place) -> AsyncGenerator[Publisher]:
    way, config = {
        STOCK: ("stock", {"redis": place.redis, "prefix": "stock", "group": "chat_measured"}),
        BARE: ("bare", {"address": server.address}),
        SOCKETIO: ("socketio", {"address": server.address}),
    }[name]
    async with publishing(way, text=place.text, **config) as publisher:
        yield publisher
