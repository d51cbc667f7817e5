"""What one client, one user and one that does not read may ask of a real server, and that nobody else pays for it."""

from __future__ import annotations

import json
import socket as sockets
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from harness.actors.http import SESSION_COOKIE
from harness.stack import RunningStack
from harness.tests.client_faults import large_messages
from harness.tests.helpers import eventually
from harness.tests.raw import HELLO, closed_with, figures, greet, load, socket, until
from harness.tests.traffic import Device, people

MOST_PER_USER = 20
BURST = 200
LOADS_OUT = 4
SOON = 5.0
FORGOTTEN_WITHIN = 30.0


def is_welcomed(base: str, session: str) -> bool:
    with socket(base, session) as client:
        client.send(HELLO)
        try:
            return bool(until(client, "welcome"))
        except ConnectionClosed:
            return False


@pytest.fixture(scope="module")
def sessions(stack: RunningStack) -> list[str]:
    """Sessions of three people."""
    return [session for _user, session in people(stack, 3)]


def test_a_user_has_so_many_sockets_on_one_server(stack: RunningStack, sessions: list[str]) -> None:
    first, second = stack.backends
    mine, another, _ = sessions
    with ExitStack() as opened:
        clients = [opened.enter_context(socket(first, mine)) for _ in range(MOST_PER_USER)]
        for client in clients:
            greet(client)
        with socket(first, mine) as one_more:
            assert closed_with(one_more) == 4421
        for base, session in ((first, another), (second, mine)):
            with socket(base, session) as elsewhere:
                greet(elsewhere)
        clients[0].close()
        eventually(lambda: is_welcomed(first, mine), within=SOON, what="the place of one that left is free")


def test_a_flood_is_closed_and_nobody_else_waits(stack: RunningStack, devices: list[Device]) -> None:
    told, watching = devices[0], devices[2]
    chat = told.http.json("POST", "/api/chats", {"title": "", "members": [watching.user]})["id"]
    (_user, session), *_ = people(stack, 1)
    with socket(stack.backends[0], session) as flooding:
        greet(flooding)
        with suppress(ConnectionClosed):
            for number in range(10 * BURST):
                flooding.send(load(number, "chat:0"))
        told.send(chat, "0" * 8 + "-0000-4000-8000-" + "0" * 12, "in the flood")
        assert watching.live.wait(lambda store: bool(store.in_scope(f"chat:{chat}", "message")), within=SOON)
        assert closed_with(flooding) == 4420
    assert watching.live.resumes + watching.live.snapshots == 1


def test_who_waits_for_answers_is_never_closed(stack: RunningStack, sessions: list[str]) -> None:
    count = BURST + 60
    with socket(stack.backends[0], sessions[2]) as client:
        greet(client)
        for number in range(LOADS_OUT):
            client.send(load(number, "everyone"))
        for number in range(count):
            assert until(client, "scope")["id"] == number
            if number + LOADS_OUT < count:
                client.send(load(number + LOADS_OUT, "everyone"))
        client.send(json.dumps({"type": "dance"}))
        assert closed_with(client) == 4404


def test_figures_tell_why_sockets_were_closed(stack: RunningStack) -> None:
    base = stack.backends[0]
    before = figures(base)["closed"].get("4401", 0)
    with socket(base, None) as client:
        assert closed_with(client) == 4401
    eventually(lambda: figures(base)["closed"].get("4401", 0) == before + 1, within=SOON, what="it is counted")


@pytest.mark.heavy
def test_who_never_reads_is_not_kept(stack: RunningStack, devices: list[Device]) -> None:
    """Servers wait until what they have written was taken; here they do not wait for ever."""
    slow, reader = devices[2], devices[4]
    url = stack.resource("backend-1").url
    pid = stack.resource("backend-1").pid
    assert url is not None
    address = urlsplit(url)
    with sockets.socket() as small:
        # The less the network holds, the sooner it is seen.
        small.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16 * 1024)
        small.connect((address.hostname, address.port))
        port = small.getsockname()[1]
        before = figures(url)["closed"].get("4429", 0)
        with (
            suppress(ConnectionClosed, TimeoutError),
            socket(url, slow.http.cookies[SESSION_COOKIE], sock=small, max_queue=1) as deaf,
        ):
            greet(deaf)
            with large_messages(stack, slow, reader) as write:
                while figures(url)["closed"].get("4429", 0) == before:
                    write()
            assert is_connected(pid, port)
            eventually(lambda: not is_connected(pid, port), within=FORGOTTEN_WITHIN, what="it is dropped")
    assert slow.live.resumes + slow.live.snapshots == 1


def is_connected(pid: int | None, port: int) -> bool:
    """Whether a process holds a connection from that port."""
    return any(getattr(one.raddr, "port", None) == port for one in psutil.Process(pid).net_connections("tcp"))
