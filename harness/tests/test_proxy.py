"""The TCP proxies: transparent without a fault, and each fault bites, ends and combines with others."""

from __future__ import annotations

import asyncio
import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.faults import network
from harness.faults.conditions import Bandwidth, Conditions, Latency, SlowClose
from harness.faults.counters import Counters, Tally
from harness.faults.pipe import Pipe
from harness.faults.target import Target, to_argument
from harness.folders import CHECKOUT
from harness.tests.helpers import eventually
from harness.tests.proxying import Proxied, exactly, reset, spawn, to_the_end

MIB = 1 << 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with Proxied(tmp_path_factory.mktemp("p")) as proxied:
        yield proxied


@pytest.fixture
def proxied(running: Proxied) -> Iterator[Proxied]:
    yield running
    running.hang_up()


def watching(proxied: Proxied, name: str = "a") -> AbstractContextManager[network.Toll]:
    """A fault that does nothing, for its counters."""
    return network.slow_close(proxied.stack, name, seconds=0)


# Without a fault


def test_the_end_of_one_direction_leaves_the_other_open(proxied: Proxied) -> None:
    client, server = proxied.pair()
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert to_the_end(server) == b"question"
    server.sendall(b"answer")
    server.close()
    assert to_the_end(client) == b"answer"


@pytest.mark.parametrize("from_server", [True, False])
def test_a_reset_is_handed_on_after_what_was_sent_before(proxied: Proxied, from_server: bool) -> None:
    client, server = proxied.pair()
    one, other = (server, client) if from_server else (client, server)
    one.sendall(b"last words")
    assert exactly(other, 10) == b"last words"
    reset(one)
    with pytest.raises(ConnectionResetError):
        other.recv(1)


def test_an_end_that_meets_a_reset_is_a_reset(proxied: Proxied) -> None:
    client, server = proxied.pair()
    # Both happen before the proxy can look, the end first.
    proxied.process.send_signal(signal.SIGSTOP)
    client.shutdown(socket.SHUT_WR)
    reset(server)
    proxied.process.send_signal(signal.SIGCONT)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert proxied.passes()


def test_a_client_of_nobody_is_reset_and_counted(proxied: Proxied) -> None:
    with watching(proxied, "nobody") as toll:
        with pytest.raises(ConnectionResetError):
            proxied.client("nobody").recv(1)
        assert toll.counters() == Counters(connections=1, refused=1)


@pytest.mark.parametrize("reads", [False, True])
def test_what_cannot_be_handed_on_makes_the_sender_wait_and_no_memory_grow(proxied: Proxied, reads: bool) -> None:
    client, server = proxied.pair()
    with ExitStack() as faults, bounded_memory(proxied):
        if reads:
            # One who would read gets nothing yet.
            faults.enter_context(network.latency(proxied.stack, "a", seconds=600))
        sent = fill(client)
    client.shutdown(socket.SHUT_WR)
    assert to_the_end(server) == pattern(sent)


def test_what_is_meant_for_one_who_is_gone_makes_nobody_wait_and_no_memory_grow(proxied: Proxied) -> None:
    client, server = proxied.pair()
    sent = fill(client)
    fill(server)
    reset(client)
    with bounded_memory(proxied):
        server.sendall(bytes(64 * MIB))
    # What had been sent before is there, and then the reset.
    assert server.recv(65536) == pattern(sent)[:65536]
    with pytest.raises(ConnectionResetError):
        to_the_end(server)


def test_what_was_sent_before_both_ended_still_arrives(proxied: Proxied) -> None:
    client, server = proxied.pair()
    sent, found = 0, b""
    with watching(proxied) as toll:

        def waits() -> bool:
            """Whether some of it stays in the proxy for longer than a moment."""
            deadline = time.monotonic() + 0.1
            while waiting := toll.counters().passed_bytes < sent:
                if time.monotonic() > deadline:
                    break
            return waiting

        while not waits():
            client.sendall(pattern(65536))
            sent += 65536
        # Room for the last of it behind the proxy, and no more.
        while waits():
            found += exactly(server, 65536)
    client.shutdown(socket.SHUT_WR)
    server.shutdown(socket.SHUT_WR)
    assert to_the_end(client) == b""
    assert found + to_the_end(server) == pattern(sent)


def fill(sender: socket.socket) -> int:
    """Send a pattern until one has to wait; how many bytes that were."""
    sender.setblocking(False)
    sent = 0
    while select.select([], [sender], [], 1.0)[1]:
        with suppress(BlockingIOError):
            sent += sender.send(pattern(MIB)[sent % MIB :])
        assert sent < 64 * MIB, "nobody made the sender wait"
    sender.settimeout(30)
    return sent


def pattern(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


@contextmanager
def bounded_memory(proxied: Proxied) -> Iterator[None]:
    """The proxies' memory grows by less than 4 MiB."""
    process = psutil.Process(proxied.process.pid)
    before = process.memory_info().rss
    yield
    assert process.memory_info().rss - before < 4 * MIB


def test_many_come_at_once(proxied: Proxied) -> None:
    with watching(proxied) as toll:
        clients = [proxied.client() for _ in range(200)]
        for number, client in enumerate(clients):
            client.sendall(number.to_bytes(2, "big"))
        servers = [proxied.servers["a"].accept() for _ in clients]
        assert {int.from_bytes(exactly(server, 2), "big") for server in servers} == set(range(200))
        for server in servers:
            server.close()
        assert toll.counters() == Counters(connections=200, passed_bytes=400)


# Each fault


def test_down_refuses_and_cuts_until_it_is_over(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.down(proxied.stack, "a") as toll:
        with pytest.raises(ConnectionRefusedError):
            proxied.client()
        assert to_the_end(client) == b""
        assert to_the_end(server) == b""
        assert toll.counters().cut == 1
    assert proxied.passes()


def test_latency_holds_everything_back_in_each_direction(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.latency(proxied.stack, "a", seconds=0.15) as toll:
        began = time.monotonic()
        client.sendall(b"ping")
        exactly(server, 4)
        there = time.monotonic()
        server.sendall(b"pong")
        exactly(client, 4)
        assert there - began >= 0.15
        assert time.monotonic() - there >= 0.15
        assert toll.counters() == Counters(delayed=2, passed_bytes=8)
    with watching(proxied) as toll:
        client.sendall(b"ping")
        exactly(server, 4)
        assert toll.counters() == Counters(passed_bytes=4)


def test_what_a_latency_holds_back_comes_when_it_is_over(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.latency(proxied.stack, "a", seconds=600):
        client.sendall(b"at last")
        client.shutdown(socket.SHUT_WR)
        with watching(proxied) as toll:
            other, _ = proxied.pair()
            other.sendall(b"later than that")
            eventually(lambda: toll.counters().delayed, within=5, what="it waits")
        assert not select.select([server], [], [], 0)[0]
    assert to_the_end(server) == b"at last"


def test_bandwidth_is_never_exceeded(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.bandwidth(proxied.stack, "a", bytes_per_second=200_000) as toll:
        began = time.monotonic()
        client.sendall(bytes(60_000))
        exactly(server, 60_000)
        assert time.monotonic() - began >= 0.3
        assert toll.counters().delayed >= 1
        assert toll.counters().passed_bytes == 60_000


def test_what_a_narrow_line_holds_back_comes_when_it_is_over(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.bandwidth(proxied.stack, "a", bytes_per_second=100):
        client.sendall(bytes(100_000))
        assert server.recv(1) == b"\0"
    assert len(exactly(server, 99_999)) == 99_999


def test_reset_resets_those_who_are_there_and_those_who_come(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.reset(proxied.stack, "a") as toll:
        for end in (client, server):
            with pytest.raises(ConnectionResetError):
                end.recv(1)
        # The reset may come while connecting or later.
        with pytest.raises(ConnectionResetError):
            proxied.client().recv(1)
        assert toll.counters() == Counters(connections=1, cut=2)
        assert not proxied.servers["a"].waits()
    assert proxied.passes()


def test_a_late_reset_lets_pass_until_then(proxied: Proxied) -> None:
    client, server = proxied.pair()
    began = time.monotonic()
    with network.reset(proxied.stack, "a", after=1.0) as toll:
        newcomer, its_server = proxied.pair()
        newcomer.sendall(b"still")
        assert exactly(its_server, 5) == b"still"
        for end in (client, server, newcomer, its_server):
            with pytest.raises(ConnectionResetError):
                end.recv(1)
        assert time.monotonic() - began >= 1.0
        assert toll.counters().cut == 2


def test_a_late_reset_that_is_taken_back_never_comes(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.reset(proxied.stack, "a", after=1.0):
        pass
    with network.reset(proxied.stack, "b", after=1.0), pytest.raises(ConnectionResetError):
        proxied.client("b").recv(1)
    client.sendall(b"still here")
    assert exactly(server, 10) == b"still here"


def test_slow_close_keeps_the_end_back(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.slow_close(proxied.stack, "a", seconds=0.2) as toll:
        began = time.monotonic()
        client.close()
        assert to_the_end(server) == b""
        assert time.monotonic() - began >= 0.2
        assert toll.counters() == Counters(delayed=1)


def test_slow_close_keeps_nothing_else_back_and_nothing_longer_than_it_lasts(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.slow_close(proxied.stack, "a", seconds=600) as toll:
        client.sendall(b"bye")
        client.close()
        assert exactly(server, 3) == b"bye"
        eventually(lambda: toll.counters().delayed == 1, within=5, what="the end has reached the proxy")
        assert not select.select([server], [], [], 0)[0]
    assert to_the_end(server) == b""


def test_half_open_swallows_both_ways_and_closes_nothing(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.half_open(proxied.stack, "a") as toll:
        client.sendall(b"into the void")
        server.sendall(b"and back")
        client.shutdown(socket.SHUT_WR)
        newcomer = proxied.client()
        newcomer.sendall(b"hello?")
        silent = proxied.client()
        eventually(lambda: toll.counters().dropped_bytes == 27, within=5, what="all of it is swallowed")
        assert toll.counters() == Counters(connections=2, dropped_bytes=27)
        assert not select.select([client, server, newcomer, silent], [], [], 0)[0]
        assert not proxied.servers["a"].waits()
    # Lost bytes never come back, so these connections can't go on.
    for end in (client, server, newcomer, silent):
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    assert proxied.passes()
    assert toll.counters().cut == 3


def test_a_side_that_closes_while_half_open_is_not_missed_before_the_end(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.half_open(proxied.stack, "a"):
        reset(client)
        server.sendall(b"anybody?")
        with watching(proxied) as toll:
            other = proxied.client()
            other.sendall(b"x")
            eventually(lambda: toll.counters().dropped_bytes, within=5, what="the proxy has had its turn")
        assert not select.select([server], [], [], 0)[0]
    with pytest.raises(ConnectionResetError):
        server.recv(1)


def test_who_said_nothing_while_half_open_goes_on(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.half_open(proxied.stack, "a"):
        pass
    client.sendall(b"did I miss anything?")
    assert exactly(server, 20) == b"did I miss anything?"


def test_what_waited_when_it_became_half_open_is_lost(proxied: Proxied) -> None:
    client, server = proxied.pair()
    with network.latency(proxied.stack, "a", seconds=600) as waiting:
        client.sendall(b"under way")
        eventually(lambda: waiting.counters().delayed == 1, within=5, what="it waits")
        with network.half_open(proxied.stack, "a") as toll:
            assert toll.counters().dropped_bytes == 9
    with pytest.raises(ConnectionResetError):
        server.recv(1)


# Together, and their ends


def test_faults_nest_and_the_end_of_one_leaves_the_others(proxied: Proxied) -> None:
    with network.down(proxied.stack, "a"):
        with network.down(proxied.stack, "a"), network.latency(proxied.stack, "a", seconds=0.1):
            assert not proxied.passes()
        assert not proxied.passes()
        assert proxied.passes("b")
    with network.latency(proxied.stack, "a", seconds=0.1):
        with network.latency(proxied.stack, "a", seconds=0.1):
            client, server = proxied.pair()
            began = time.monotonic()
            client.sendall(b"x")
            exactly(server, 1)
            assert time.monotonic() - began >= 0.2
        began = time.monotonic()
        client.sendall(b"x")
        exactly(server, 1)
        assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("fault", ["down", "half_open", "reset"])
def test_a_fault_ends_after_an_error_too(proxied: Proxied, fault: str) -> None:
    with pytest.raises(ZeroDivisionError), getattr(network, fault)(proxied.stack, "a"):
        raise ZeroDivisionError
    assert proxied.passes()


def test_a_fault_ends_with_the_process_that_began_it(proxied: Proxied) -> None:
    program = f"""
import pathlib, signal, types
from harness.faults import network
stack = types.SimpleNamespace(proxies=["a"], sockets=pathlib.Path({str(proxied.folder)!r}))
with network.down(stack, "a"):
    print("down", flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"down\n"
        assert not proxied.passes()
        holder.kill()
    eventually(proxied.passes, within=5, what="the address is listened at again")


def test_a_toll_keeps_its_last_figures(proxied: Proxied) -> None:
    with watching(proxied) as toll:
        assert proxied.passes()
    last = toll.counters()
    assert last.passed_bytes == 8
    assert proxied.passes()
    assert toll.counters() == last
    toll.end()


def test_proxies_that_end_take_their_faults_along(tmp_path: Path) -> None:
    with Proxied(tmp_path) as proxied, network.down(proxied.stack, "a") as toll:
        proxied.kill()
        with pytest.raises(HarnessError, match="do not answer") as caught:
            toll.counters()
        assert "harness restart proxies" in caught.value.hint
        with pytest.raises(HarnessError, match="do not answer"), network.down(proxied.stack, "a"):
            pass
        proxied.start()
        assert proxied.passes()


def test_a_port_lost_while_down_is_listened_at_again_once_it_is_free(proxied: Proxied) -> None:
    with network.down(proxied.stack, "a"):
        thief = socket.create_server(("127.0.0.1", proxied.ports["a"]))
        ending = threading.Thread(target=lambda: thief.accept()[0].close())
        ending.start()
    with suppress(ConnectionResetError):
        proxied.client().recv(1)
    ending.join()
    thief.close()
    eventually(proxied.passes, within=5, what="the address is listened at again")


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
    running: Proxied,
    there: list[bytes],
    back: list[bytes],
    latencies: list[tuple[float, float]],
    rates: list[float],
    bulk: int,
    ends_early: bool,
) -> None:
    # Much in one go, as much as rates let pass in a moment, goes beyond what may wait in the proxy.
    there = [*there, bytes(index % 251 for index in range(bulk if not rates else bulk // 20))]
    running.hang_up()
    client, server = running.pair()
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
            faults.enter_context(network.latency(running.stack, "a", seconds=seconds, jitter=seconds * share))
        for rate in rates:
            faults.enter_context(network.bandwidth(running.stack, "a", bytes_per_second=rate))
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


# What is asked for wrongly


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"target": "x", "fault": "down"}, "There is no proxy in front of 'x'."),
        ({"target": ["a"], "fault": "down"}, r"There is no proxy in front of \['a'\]."),
        ({"fault": "tickle"}, "The network cannot be 'tickle'."),
        ({"fault": {}}, "The network cannot be {}."),
        ({"fault": "down", "settings": 1}, "The settings of down are no object."),
        ({"fault": "down", "settings": {"seconds": 1}}, "down has no setting 'seconds'."),
        ({"fault": "latency"}, "latency needs seconds."),
        ({"fault": "latency", "settings": {"seconds": -1}}, "seconds of latency must be seconds from 0 to 3600"),
        ({"fault": "latency", "settings": {"seconds": "1"}}, "seconds of latency must be seconds from 0 to 3600"),
        ({"fault": "latency", "settings": {"seconds": True}}, "seconds of latency must be seconds from 0 to 3600"),
        ({"fault": "latency", "settings": {"seconds": float("nan")}}, "must be seconds"),
        ({"fault": "latency", "settings": {"seconds": 1, "jitter": 2}}, "would deliver before it was sent"),
        ({"fault": "latency", "settings": {"seconds": 1, "seed": 0.5}}, "seed of latency must be a whole number"),
        ({"fault": "bandwidth", "settings": {"bytes_per_second": 0}}, "must be a number of at least 1, not 0"),
        ({"fault": "reset", "settings": {"after": 4000}}, "after of reset must be seconds"),
        ({"op": "break"}, "The proxies do not know 'break'."),
        ({"op": "counters"}, "No fault has begun on this connection."),
        ({"op": "end"}, "No fault has begun on this connection."),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence(proxied: Proxied, settings: dict[str, Any], sentence: str) -> None:
    answer = ask(proxied, {"op": "begin", "target": "a", **settings})[0]
    assert not answer["ok"]
    with pytest.raises(HarnessError, match=sentence):
        raise HarnessError(answer["sentence"])
    assert proxied.passes()


def test_a_connection_holds_one_fault(proxied: Proxied) -> None:
    begin = {"op": "begin", "target": "a", "fault": "down"}
    first, second, third = ask(proxied, begin, begin, {"op": "counters"})
    assert (first["ok"], second["ok"], third["ok"]) == (True, False, True)
    assert "holds one fault" in second["sentence"]
    eventually(proxied.passes, within=5, what="hanging up has ended it")


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff\xfe", b""])
def test_what_is_no_request_is_refused_and_harms_nobody(proxied: Proxied, line: bytes) -> None:
    (answer,) = ask(proxied, line)
    assert answer == {"ok": False, "sentence": "A request is an object in one line of JSON.", "hint": ""}


def test_an_endless_line_is_hung_up_on(proxied: Proxied) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(proxied.control))
        with suppress(BrokenPipeError):
            connection.sendall(b"x" * MIB)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert proxied.passes()


def ask(proxied: Proxied, *requests: dict[str, Any] | bytes) -> list[dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(proxied.control))
        with connection.makefile("rwb") as stream:
            answers = []
            for request in requests:
                stream.write((request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n")
                stream.flush()
                answers.append(json.loads(stream.readline()))
    return answers


def test_proxies_that_cannot_all_listen_are_never_ready(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process, message = spawn(tmp_path, to_argument([Target("a", port, "127.0.0.1", 1)]))
        _, said = process.communicate(timeout=10)
    assert (process.returncode, message) == (1, b"")
    assert "address already in use" in said
    assert "Traceback" not in said


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
