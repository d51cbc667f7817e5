"""The TCP proxies: transparent without a fault, and each fault bites and ends."""

from __future__ import annotations

import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest

from harness.faults import network
from harness.faults.counters import Counters
from harness.tests.helpers import eventually
from harness.tests.proxying import Proxied, exactly, reset, to_the_end, watching

MIB = 1 << 20


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
