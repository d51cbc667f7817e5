"""Whoever asks the proxies for faults: several at once, their ends, requests that are none."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.faults import network
from harness.faults.target import Target, to_argument
from harness.folders import CHECKOUT
from harness.tests.helpers import eventually
from harness.tests.proxying import Proxied, exactly, spawn, watching

MIB = 1 << 20


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
