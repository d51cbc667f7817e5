"""Runs the comparison: rounds in which each server has its turn, then what triggers cost a writer."""

from __future__ import annotations

import resource
from collections.abc import Callable

from benchmarks.live import inserts
from benchmarks.live.result import BARE, ENGINE, OFTEN, SERVERS, SOCKETIO, STOCK, Held, Last, Paced, Result
from benchmarks.live.servers import Servers
from benchmarks.live.turns import Place, Size, capacity, engine_turn, pattern, peer_turn
from harness import HarnessError

OTHER_FILES = 500
"""What a process with many sockets has open besides."""


def raise_file_limit(sockets: int) -> None:
    """Let this process and those it starts have so many sockets each.

    Raises:
        HarnessError: the machine does not allow it.
    """
    needed = sockets + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise HarnessError(
            f"{sockets} sockets need {needed} open files in one process, and this machine allows {hard}.",
            hint=f"Raise the limit (ulimit -Hn {needed}), or ask for fewer with --sockets.",
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def compare(servers: Servers, place: Place, size: Size, told: Callable[[str], None]) -> Result:
    """Measure everything but inserts.

    Raises:
        Failed: a server did not do what is measured.
    """
    result = Result(sizes=size.steps)
    with servers.engine() as server:
        place = await pattern(server, place)
    with servers.stock() as server:
        result.capacity = await capacity(server, place, size)
    told(f"a change is {len(place.text)} bytes; the stock consumer can tell {result.capacity:.1f} a second to all")
    for number in range(size.rounds):
        told(f"round {number + 1} of {size.rounds}")
        turn = number % len(SERVERS)
        for name in (*SERVERS[turn:], *SERVERS[:turn]):
            before = (len(result.held), len(result.last), len(result.paced))
            await _turn(name, servers, place, size, result, shift=number)
            _tell(result, before, told)
    return result


async def _turn(name: str, servers: Servers, place: Place, size: Size, result: Result, *, shift: int) -> None:
    if name == ENGINE:
        with servers.engine() as server:
            await engine_turn(server, place, size, result, shift=shift)
        return
    starting = {STOCK: servers.stock, BARE: servers.bare, SOCKETIO: servers.socketio}[name]
    with starting() as server:
        await peer_turn(name, server, place, size, result)


def measure_inserts(place: Place, size: Size, result: Result, told: Callable[[str], None]) -> None:
    """No relay may run meanwhile."""
    told(f"inserts: {size.rounds} rounds with and without triggers")

    def tell(one: inserts.Inserts) -> None:
        told(f"  {one.kind:<24} {size.rows} rows in {one.bulk * 1000:6.0f} ms, one by one {one.rate:6.0f} a second")

    measured = place.measured
    result.inserts += inserts.rounds(
        place.database,
        count=size.rounds,
        rows=size.rows,
        singles=size.singles,
        chat=measured.chat,
        writer=measured.writer,
        told=tell,
    )


def _tell(result: Result, before: tuple[int, int, int], told: Callable[[str], None]) -> None:
    held: list[Held] = result.held[before[0] :]
    last: list[Last] = result.last[before[1] :]
    paced: list[Paced] = result.paced[before[2] :]
    for one in held:
        told(
            f"  {one.server:<26} {one.connects:6.0f} connects a second, {one.kib:.1f} KiB each,"
            f" all back in {one.storm:.2f} s"
        )
    for some in last:
        told(f"  {some.subject:<26} last of {some.sockets:>4} after {some.median:7.1f} ms")
    for many in paced:
        often = "5 a second" if many.rate == OFTEN else f"{many.rate:.3g} a second"
        told(
            f"  {many.subject:<26} p50 {many.p50:7.1f}  p95 {many.p95:7.1f}  p99 {many.p99:7.1f} ms at {often}"
            + (f", {many.missed} of {many.changes} began late" if many.missed else "")
        )
