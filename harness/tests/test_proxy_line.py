"""What passes through the proxies is what was sent, whatever the line is like."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.faults import network
from harness.faults.conditions import Bandwidth, Conditions, Latency, SlowClose
from harness.faults.counters import Tally
from harness.faults.pipe import Pipe
from harness.tests.proxying import Proxied, to_the_end

# What passes is what was sent

chunks = st.lists(st.binary(min_size=1, max_size=4096), max_size=6)
delays = st.floats(0, 0.01)


@given(
    there=chunks,
    back=chunks,
    latencies=st.lists(st.tuples(delays, st.floats(0, 1)), max_size=2),
    rates=st.lists(st.floats(300_000, 10_000_000), max_size=2),
    bulk=st.integers(0, 700_000),
    ends_early=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_bytes_arrive_unchanged_and_in_order_whatever_the_line(
    proxies: Proxied,
    there: list[bytes],
    back: list[bytes],
    latencies: list[tuple[float, float]],
    rates: list[float],
    bulk: int,
    ends_early: bool,
) -> None:
    # Much in one go, as much as rates let pass in a moment, goes beyond what may wait in the proxy.
    there = [*there, bytes(index % 251 for index in range(bulk if not rates else bulk // 20))]
    proxies.hang_up()
    client, server = proxies.pair()
    results: list[bytes] = []

    def read_all() -> None:
        results.append(to_the_end(server))

    def answer() -> None:
        for chunk in back:
            server.sendall(chunk)
        server.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=work) for work in (read_all, answer)]
    with ExitStack() as faults:
        for seconds, share in latencies:
            faults.enter_context(network.latency(proxies.stack, "a", seconds=seconds, jitter=seconds * share))
        for rate in rates:
            faults.enter_context(network.bandwidth(proxies.stack, "a", bytes_per_second=rate))
        for thread in threads:
            thread.start()
        for chunk in there:
            client.sendall(chunk)
        client.shutdown(socket.SHUT_WR)
        if ends_early:
            faults.close()
        assert to_the_end(client) == b"".join(back)
        for thread in threads:
            thread.join()
    assert results == [b"".join(there)]


# Parts


def test_conditions_are_the_sum_of_the_faults() -> None:
    assert Conditions.of([]) == Conditions()
    one, two = Latency(0.1, 0.05), Latency(0.2)
    found = Conditions.of([one, Bandwidth(500), two, Bandwidth(200), SlowClose(1), SlowClose(2)])
    assert found == Conditions(latencies=(one, two), rate=200, close_later=3, plain=False)
    assert found.longest == pytest.approx(3.35)


def test_the_seed_makes_jitter_repeatable() -> None:
    async def dues(seed: int) -> list[float]:
        loop = asyncio.get_running_loop()
        found: list[float] = []

        def call_at(due: float, _: object) -> Handle:
            found.append(due)
            return Handle()

        place = Place(Conditions.of([Latency(1.0, 1.0, seed)]))
        pipe = Pipe(place, name="1 forth", on_end=lambda *_: None, on_loss=lambda: None)
        pipe.connect(Sink())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "time", lambda: 0.0)
            patch.setattr(loop, "call_at", call_at)
            for _ in range(5):
                pipe.take(b"x")
                pipe.swallow()
        return found

    one, again, other = (asyncio.run(dues(seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert all(0 <= due <= 2 for due in one)


class Place:
    def __init__(self, conditions: Conditions) -> None:
        self.conditions = conditions
        self.tally = Tally()


class Sink(asyncio.Transport):
    """Takes everything."""


class Handle:
    def cancel(self) -> None:
        pass
