from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.bars import Verdict
from benchmarks.live import bare
from benchmarks.live.crowd import BARE, Crowd, Dialect, Failed, engine
from benchmarks.live.inserts import WITH, WITHOUT, Inserts
from benchmarks.live.pace import Published, missed, slots
from benchmarks.live.publisher import publishing
from benchmarks.live.result import BARE as BARE_APPLICATION
from benchmarks.live.result import (
    COUNTS,
    ENGINE,
    HUB,
    MEMORY,
    OFTEN,
    RATIOS,
    REST,
    SERVERS,
    SOCKETIO,
    SQL,
    STOCK,
    SUBJECTS,
    Held,
    Last,
    Paced,
    Result,
    percentile,
)
from benchmarks.live.run import raise_file_limit
from benchmarks.live.servers import FLAGS
from benchmarks.live.tally import Counts, Tally
from benchmarks.live.turns import Size, Subject, deliver
from benchmarks.live.wire import COOKIE, mark
from harness import HarnessError
from harness.folders import CHECKOUT
from harness.ports import free_port, is_free
from harness.tests.helpers import eventually


def tallied(sockets: int, receipts: list[tuple[int, int]], *, published: int) -> Tally:
    """A tally of so many sockets after these (socket, number) arrived."""
    tally = Tally()
    for _ in range(sockets):
        tally.add()
    for _ in range(published):
        tally.next()
    for place, number in receipts:
        tally.received(place, number)
    return tally


@pytest.mark.parametrize(
    ("receipts", "counts"),
    [
        ([(0, 1), (0, 2), (0, 3)], Counts()),
        ([(0, 1), (0, 3)], Counts(lost=1)),
        ([(0, 3)], Counts(lost=2)),
        ([(0, 1), (0, 2)], Counts(lost=1)),
        ([], Counts(lost=3)),
        ([(0, 1), (0, 1), (0, 2), (0, 3)], Counts(duplicate=1)),
        ([(0, 1), (0, 2), (0, 3), (0, 1)], Counts(duplicate=1)),
        ([(0, 1), (0, 3), (0, 2)], Counts(out_of_order=1)),
        ([(0, 2), (0, 1), (0, 1), (0, 3)], Counts(out_of_order=1, duplicate=1)),
    ],
)
def test_what_is_lost_repeated_and_late_is_told_apart(receipts: list[tuple[int, int]], counts: Counts) -> None:
    assert tallied(1, receipts, published=3).counts == counts


def test_each_socket_is_counted_by_itself_and_counts_add_up() -> None:
    found = tallied(3, [(0, 1), (1, 2), (1, 1), (2, 1), (2, 1), (2, 2)], published=2).counts
    assert found == Counts(lost=1, duplicate=1, out_of_order=1)
    assert found + Counts(lost=2) == Counts(lost=3, duplicate=1, out_of_order=1)


def test_a_socket_is_not_asked_for_what_was_before_it() -> None:
    tally = tallied(1, [(0, 1)], published=1)
    late = tally.add()
    number = tally.next()
    tally.received(late, number)
    tally.received(0, number)
    assert tally.counts == Counts()


def test_a_change_is_whole_with_the_last_receipt() -> None:
    async def whole() -> tuple[bool, bool]:
        tally = tallied(2, [(0, 1), (0, 1)], published=1)
        before = await tally.whole(1, within=0.01)
        asyncio.get_running_loop().call_later(0.01, tally.received, 1, 1)
        return before, await tally.whole(1, within=5)

    assert asyncio.run(whole()) == (False, True)


def test_slots_keep_their_times_though_one_takes_long() -> None:
    async def taken() -> tuple[list[float], list[float]]:
        begin = time.monotonic() + 0.01
        due, came = [], []
        async for slot in slots(begin=begin, period=0.05, count=4):
            due.append(round(slot - begin, 6))
            came.append(time.monotonic() - slot)
            if len(due) == 2:
                # A loop that hangs, as a server that hangs would have it.
                time.sleep(0.12)  # noqa: ASYNC251 - it is what hangs
        return due, came

    due, came = asyncio.run(taken())
    assert due == [0.0, 0.05, 0.1, 0.15]
    assert min(came) >= 0
    assert came[2] >= 0.06


def test_having_begun_late_counts_and_time_before_the_commit_does_not() -> None:
    prompt = Published(number=1, due=10.0, began=10.0, at=10.5)
    late = Published(number=2, due=10.1, began=10.4, at=10.6)
    assert prompt.latency(10.7) == pytest.approx(0.2)
    assert late.latency(10.7) == pytest.approx(0.4)
    assert missed([prompt, late], period=0.3) == 1
    assert missed([prompt, late], period=0.4) == 0


def test_a_percentile_is_a_measured_value() -> None:
    values = [float(value) for value in range(100)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99)] == [50.0, 95.0, 99.0]
    assert percentile([7.0], 0.99) == 7.0


def measured() -> Result:
    """Three rounds, each of which once is far off."""
    result = Result(sizes=(10, 100), capacity=4.0, counts=Counts())
    last = {HUB: 40, REST: 60, SQL: 50, STOCK: 400, BARE_APPLICATION: 32, SOCKETIO: 40}
    p95 = {HUB: 50, REST: 90, SQL: 60, STOCK: 1000, BARE_APPLICATION: 40, SOCKETIO: 45}
    for off in (1, 7, 1):
        for subject in SUBJECTS:
            result.last += [
                Last(subject=subject, sockets=100, ms=(last[subject] * off,) * 3),
                Last(subject=subject, sockets=10, ms=(1.0,)),
            ]
            for rate in (result.half, OFTEN):
                value = p95[subject] * off * (2 if rate == OFTEN else 1)
                result.paced.append(
                    Paced(subject=subject, rate=rate, changes=9, missed=0, p50=1, p95=value, p99=2 * value)
                )
        result.held += [Held(server=server, connects=1000 * off, kib=20 * off, storm=off) for server in SERVERS]
        result.inserts += [
            Inserts(kind=WITH, bulk=1.5 * off, rate=900),
            Inserts(kind=WITHOUT, bulk=0.5 * off, rate=1000 * off),
        ]
    return result


def test_ratios_are_ours_by_theirs_of_the_medians_of_the_rounds_with_all_sockets() -> None:
    assert measured().ratios == {
        "last_vs_stock": 0.1,
        "last_vs_bare": 1.25,
        "last_vs_socketio": 1.0,
        "p95_vs_stock": 0.05,
        "commit_p95_vs_hub": 1.8,
        "bulk_insert_time": 3.0,
        "single_insert_rate": 0.9,
    }


def test_the_record_holds_what_is_judged_and_every_round() -> None:
    result = measured()
    record = json.loads(json.dumps(result.record(Size())))
    assert set(record["ratios"]) == {limit.ratio for limit in RATIOS}
    assert record["counts"] == {"lost": 0, "duplicate": 0, "out_of_order": 0}
    assert record["kib_per_socket"] == record["sockets"][ENGINE]["kib"] == 20
    assert record["paced_ms"][HUB]["5 a second"] == {"p50": 1, "p95": 100, "p99": 200}
    assert len(record["raw"]["last"]) == 3 * 2 * len(SUBJECTS)


def test_a_consumer_that_cannot_keep_pace_has_no_figure_for_it() -> None:
    result = measured()
    result.paced = [one for one in result.paced if (one.subject, one.rate) != (STOCK, OFTEN)]
    assert result.paced_of(STOCK, OFTEN) is None
    assert set(result.record(Size())["paced_ms"][STOCK]) == {"2 a second"}


def test_every_bar_is_judged_and_nothing_may_be_lost() -> None:
    result = measured()
    result.counts = Counts(lost=1)
    verdicts = {limit.ratio: limit.judge(value) for limit, value in result.judged}
    assert verdicts.keys() == {limit.ratio for limit in (*RATIOS, MEMORY, *COUNTS)}
    assert verdicts["lost"] is Verdict.MISSED
    assert verdicts["duplicate"] is Verdict.REACHED
    assert verdicts["single_insert_rate"] is Verdict.REACHED
    assert verdicts["bulk_insert_time"] is Verdict.GATE


def test_too_few_open_files_are_said_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (256, 1024)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, new: told.append(new))
    with pytest.raises(HarnessError, match="2000 sockets need 2500 open files in one process, and this machine allows"):
        raise_file_limit(2000)
    assert told == []
    raise_file_limit(500)
    assert told == [(1000, 1024)]


@asynccontextmanager
async def serving(handle: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """The address of a WebSocket server on loopback."""
    async with serve(handle, "127.0.0.1", 0, close_timeout=1) as server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"{host}:{port}"


def crowd(address: str, dialect: Dialect, *sessions: str) -> Crowd:
    return Crowd(address, dialect, sessions=sessions, tally=Tally())


def test_a_crowd_counts_only_what_comes_in_service() -> None:
    cookies: list[str] = []
    published = asyncio.Event()

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        cookies.append(socket.request.headers["Cookie"])
        hello = json.loads(await socket.recv())
        assert hello == {"type": "hello", "cursor": None}
        # As a snapshot does, which holds changes of before.
        await socket.send(f'{{"type":"snapshot","text":"{mark(1)}"}}')
        await socket.send('{"type":"heartbeat","epoch":"e","seq":7}')
        await published.wait()
        await socket.send(f'{{"type":"event","ops":["{mark(1)}","{mark(2)}"]}}')
        await socket.wait_closed()

    async def whole() -> Crowd:
        async with serving(handle) as address:
            found = crowd(address, engine(None), "a", "b")
            await found.grow(2)
            found.tally.next()
            found.tally.next()
            published.set()
            assert await found.tally.whole(2, within=5)
            await found.drop(graceful=True)
            return found

    found = asyncio.run(whole())
    assert sorted(cookies) == [f"{COOKIE}=a", f"{COOKIE}=b"]
    assert found.tally.counts == Counts()
    assert (found.cursor.epoch, found.cursor.seq) == ("e", 7)
    assert found.closed == []


def test_a_socket_that_the_server_closes_is_no_measurement() -> None:
    async def handle(socket: ServerConnection) -> None:
        await socket.close(4409)

    async def whole() -> None:
        async with serving(handle) as address:
            found = crowd(address, engine(None), "a")
            with pytest.raises(Failed, match="closed 1 sockets, the first with 4409"):
                await found.grow(1)

    asyncio.run(whole())


def test_a_refused_handshake_is_no_measurement() -> None:
    async def whole() -> None:
        async with serving(lambda socket: socket.close()) as address:
            port = address.rpartition(":")[2]
        with pytest.raises(Failed, match="could not be had"):
            await crowd(f"127.0.0.1:{port}", BARE, "a").grow(1)

    asyncio.run(whole())


def test_the_bare_application_writes_to_all_but_the_publisher() -> None:
    sent: dict[str, list[dict[str, Any]]] = {"a": [], "b": [], "publisher": []}

    async def whole() -> None:
        ends: dict[str, asyncio.Queue[dict[str, Any]]] = {name: asyncio.Queue() for name in sent}

        async def run(name: str, path: str) -> None:
            async def send(message: dict[str, Any]) -> None:
                sent[name].append(message)

            await bare.application({"type": "websocket", "path": path}, ends[name].get, send)

        paths = {"a": "/changes", "b": "/changes", "publisher": "/publish"}
        tasks = {name: asyncio.create_task(run(name, path)) for name, path in paths.items()}
        for name in sent:
            ends[name].put_nowait({"type": "websocket.connect"})
        ends["publisher"].put_nowait({"type": "websocket.receive", "text": "one"})
        ends["publisher"].put_nowait({"type": "websocket.disconnect"})
        await tasks["publisher"]
        for name in ("a", "b"):
            ends[name].put_nowait({"type": "websocket.disconnect"})
            await tasks[name]

    asyncio.run(whole())
    told = {"type": "websocket.send", "text": "one"}
    assert sent["a"][1:] == sent["b"][1:] == [told]
    assert sent["publisher"] == [{"type": "websocket.accept"}]


@contextmanager
def bare_server() -> Iterator[str]:
    """The address of the bare application, served as it is measured."""
    port = free_port()
    command = (sys.executable, "-m", "uvicorn", "benchmarks.live.bare:application", "--port", str(port), *FLAGS)
    with subprocess.Popen(command, cwd=CHECKOUT) as process:
        try:
            eventually(lambda: process.poll() is not None or not is_free(port), within=90, what="it listens")
            assert process.poll() is None
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.mark.timeout(300)
def test_changes_are_delivered_to_more_and_more_sockets_and_then_in_time() -> None:
    size = Size(sockets=30, changes=4, seconds=0.5)
    result = Result(sizes=size.steps)

    async def whole(address: str) -> Counts:
        found = crowd(address, BARE, *("s" * 30))
        async with publishing("bare", address=address, text=f"change {mark(0)}") as publisher:
            subject = Subject(name=BARE_APPLICATION, publisher=publisher)
            await deliver(found, [subject], result, size, rates={BARE_APPLICATION: (20.0,)})
        await found.drop(graceful=True)
        assert found.sample == f"change {mark(found.tally.newest)}".encode()
        return found.tally.counts

    with bare_server() as address:
        assert asyncio.run(whole(address)) == Counts()
    assert [(one.sockets, len(one.ms)) for one in result.last] == [(3, 4), (15, 4), (30, 4)]
    assert all(0 < ms < 30_000 for one in result.last for ms in one.ms)
    (paced,) = result.paced
    assert (paced.changes, paced.rate) == (10, 20.0)
    assert 0 < paced.p50 <= paced.p95 <= paced.p99


@pytest.mark.timeout(300)
def test_a_publisher_that_fails_says_why() -> None:
    async def whole() -> None:
        with pytest.raises(Failed, match=r"could not be published: .*refused"):
            async with publishing("bare", address=f"127.0.0.1:{free_port()}", text=mark(0)):
                pass

    asyncio.run(whole())


@pytest.mark.heavy
@pytest.mark.stack
@pytest.mark.timeout(300)
def test_the_whole_comparison(tmp_path: Path) -> None:
    file = tmp_path / "live.json"
    command = (sys.executable, "-m", "benchmarks", "live", "--quick", "--json", str(file))
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(file.read_text(encoding="utf-8"))
    assert set(record["ratios"]) == {limit.ratio for limit in RATIOS}
    assert all(ratio > 0 for ratio in record["ratios"].values())
    assert record["counts"] == {"lost": 0, "duplicate": 0, "out_of_order": 0}
    assert record["kib_per_socket"] > 0
    assert {row["subject"] for row in record["raw"]["last"]} == set(SUBJECTS)
    assert {row["server"] for row in record["raw"]["held"]} == set(SERVERS)
    lines = done.stdout.splitlines()
    assert any(line.startswith("changes lost") and line.endswith("reached") for line in lines)
    assert "stock Channels consumer" in Path(lines[-1].removeprefix("report: ")).read_text(encoding="utf-8")
