"""The asyncio driver and the swarm: against servers that behave badly, and against the real stack."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from harness.actors.http import SESSION_COOKIE, Http
from harness.live import AsyncLive, LiveStore, State, Swarm, aio
from harness.play.observers import Observers
from harness.stack import RunningStack
from harness.tests.helpers import eventually
from harness.tests.live_serving import WITHIN, server, welcome
from harness.tests.observed import observed
from harness.tests.traffic import Device, devices_of, held, people

CROWD = 30
YEAR = 365 * 86_400.0


def client(url: str) -> AsyncLive:
    return AsyncLive(url, origin="http://127.0.0.1", headers=dict)


async def comes_to(live: AsyncLive, state: State) -> bool:
    return await live.wait(lambda _store: live.state is state, within=WITHIN)


def stays(connection: ServerConnection) -> None:
    welcome(connection)
    with pytest.raises(ConnectionClosed):
        connection.recv(timeout=WITHIN)


# Servers that behave badly


def test_leaving_during_the_handshake_ends_the_task() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        begun.set()
        go_on.wait(WITHIN)

    async def leaves(url: str) -> None:
        live = client(url)
        live.start()
        assert await asyncio.to_thread(begun.wait, WITHIN)
        async with asyncio.timeout(WITHIN / 2):
            await live.close()
        assert live.state is State.OFFLINE

    with server(stays, process_request=slow) as url:
        asyncio.run(leaves(url))
        go_on.set()


def test_what_cannot_be_read_ends_it_with_a_reason() -> None:
    def nonsense(connection: ServerConnection) -> None:
        connection.recv(timeout=WITHIN)
        connection.send("no json")

    async def fails(url: str) -> None:
        async with client(url) as live:
            assert await comes_to(live, State.FAILED)
            assert "JSON" in str(live.error)

    with server(nonsense) as url:
        asyncio.run(fails(url))


def test_after_signing_in_again_it_connects_again() -> None:
    codes = iter([4401])

    def once_refused(connection: ServerConnection) -> None:
        if (code := next(codes, None)) is None:
            stays(connection)
        else:
            welcome(connection)
            connection.close(code)

    async def comes_again(url: str) -> None:
        async with client(url) as live:
            assert await comes_to(live, State.SIGNED_OUT)
            live.start()
            assert await live.wait_live(within=WITHIN)

    with server(once_refused) as url:
        asyncio.run(comes_again(url))


def test_a_hole_makes_it_resume_from_before_it() -> None:
    hellos: list[Any] = []
    opening: dict[str, Any] = {"entities": {}, "bounds": {}}
    snapshot = {"type": "snapshot", "user": 1, "epoch": "e", "seq": 0, "scopes": {"chat:1": opening, "chat:2": opening}}
    events = [
        {"type": "event", "seq": 8, "scope": "chat:2", "prev": 0, "ops": []},
        {"type": "event", "seq": 9, "scope": "chat:1", "prev": 5, "ops": []},
    ]

    def forgetful(connection: ServerConnection) -> None:
        hellos.append(welcome(connection))
        if len(hellos) > 1:
            with pytest.raises(ConnectionClosed):
                connection.recv(timeout=WITHIN)
            return
        connection.send(json.dumps(events[0]))
        connection.send(json.dumps(events[1]))
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=WITHIN)

    async def resumes(url: str) -> None:
        store = LiveStore()
        store.apply_snapshot(snapshot)
        async with AsyncLive(url, origin="http://127.0.0.1", headers=dict, store=store) as live:
            assert await live.wait(lambda store: store.counts.holes == 1, within=WITHIN)
            assert await live.wait(lambda _store: live.resumes == 2, within=WITHIN)
            assert await live.wait_live(within=WITHIN)
            assert "missing" in str(live.error)

    with server(forgetful) as url:
        asyncio.run(resumes(url))
    assert [hello["cursor"]["seq"] for hello in hellos] == [0, 0]


def test_a_stale_scope_is_asked_for_once_its_time_has_come() -> None:
    asked: list[Any] = []
    empty: dict[str, Any] = {"entities": {}, "bounds": {}}
    full = {"entities": {"chat": [{"id": 1, "title": "anew"}]}, "bounds": {}}

    def has_much(connection: ServerConnection) -> None:
        welcome(connection)
        event = {"type": "event", "seq": 1, "scope": "chat:1", "prev": 0, "ops": [{"op": "stale"}]}
        connection.send(json.dumps(event))
        asked.append(json.loads(connection.recv(timeout=WITHIN)))
        answer = {"type": "scope", "id": asked[0]["id"], "scope": "chat:1", "epoch": "e", "seq": 1, "window": full}
        connection.send(json.dumps(answer))
        with pytest.raises(ConnectionClosed):
            connection.recv(timeout=WITHIN)

    async def loads(url: str) -> None:
        store = LiveStore()
        store.apply_snapshot({"type": "snapshot", "user": 1, "epoch": "e", "seq": 0, "scopes": {"chat:1": empty}})
        async with AsyncLive(url, origin="http://127.0.0.1", headers=dict, store=store, random=Random(1)) as live:
            assert await live.wait(lambda store: store.entity("chat", 1) is not None, within=WITHIN)
            assert not store.stale

    with server(has_much) as url:
        asyncio.run(loads(url))
    assert [frame["type"] for frame in asked] == ["load"]


def test_a_server_that_has_fallen_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "patience", lambda _heartbeat: 0.3)

    async def leaves(url: str) -> None:
        async with client(url) as live:
            assert await live.wait(lambda _store: live.resumes == 2, within=WITHIN)
            assert "Timeout" in str(live.error)

    with server(stays) as url:
        asyncio.run(leaves(url))


def test_a_cut_says_no_goodbye_and_a_close_does() -> None:
    ends: list[bool] = []

    def notes(connection: ServerConnection) -> None:
        welcome(connection)
        try:
            connection.recv(timeout=WITHIN)
        except ConnectionClosed as closed:
            ends.append(closed.rcvd is not None)

    async def both(url: str) -> None:
        live = client(url)
        for leaves in (live.cut, live.close):
            live.start()
            assert await live.wait_live(within=WITHIN)
            await leaves()
            assert live.state is State.OFFLINE

    with server(notes) as url:
        asyncio.run(both(url))
    assert ends == [False, True]


def test_waiting_ends_in_time_and_passes_errors_on() -> None:
    async def waits(url: str) -> None:
        async with client(url) as live:
            assert not await live.wait(lambda _store: False, within=0.05)
            with pytest.raises(ZeroDivisionError):
                await live.wait(lambda _store: live.state is State.LIVE and bool(1 // 0), within=WITHIN)

    with server(stays) as url:
        asyncio.run(waits(url))


# The real stack


@pytest.fixture(scope="module")
def crowd(stack: RunningStack) -> list[tuple[int, str]]:
    return people(stack, CROWD)


@pytest.fixture
def writer(stack: RunningStack, crowd: list[tuple[int, str]]) -> Iterator[Device]:
    with devices_of(stack, crowd[:1]) as (device,):
        yield device


@pytest.fixture
def swarm(stack: RunningStack, crowd: list[tuple[int, str]]) -> Iterator[Swarm]:
    with Swarm(stack.backends, headers_of(crowd)) as swarm:
        assert swarm.wait_live(within=30), swarm.troubles()
        yield swarm


def headers_of(crowd: list[tuple[int, str]]) -> list[dict[str, str]]:
    return [{"Cookie": f"{SESSION_COOKIE}={session}"} for _user, session in crowd]


def is_out(swarm: Swarm) -> bool:
    (trouble, *others) = swarm.troubles() or [""]
    return not others and trouble.startswith("signed out") and "4401" in trouble


def starts_chat(writer: Device, crowd: list[tuple[int, str]]) -> int:
    members = [user for user, _session in crowd[1:]]
    return int(writer.http.json("POST", "/api/chats", {"title": "", "members": members})["id"])


def says(writer: Device, chat: int, count: int) -> set[str]:
    ids = {str(uuid.uuid4()) for _ in range(count)}
    for client_id in sorted(ids):
        writer.send(chat, client_id, "something")
    return ids


def test_a_swarm_gets_everything_over_every_backend(crowd: list[tuple[int, str]], swarm: Swarm, writer: Device) -> None:
    chat = starts_chat(writer, crowd)
    sent = says(writer, chat, 5)
    assert swarm.wait(lambda store: held(store, chat) == sent, within=WITHIN)
    counts = swarm.counts()
    assert (counts.live, counts.snapshots, counts.resumes, counts.holes) == (CROWD, CROWD, 0, 0)
    assert counts.applied >= CROWD
    assert len(set(swarm.read_all(lambda store: store.user))) == CROWD


def test_those_who_were_cut_resume_and_the_others_stay(
    stack: RunningStack, crowd: list[tuple[int, str]], swarm: Swarm, writer: Device
) -> None:
    chat = starts_chat(writer, crowd)
    away = range(0, CROWD, 3)
    there = [number for number in range(CROWD) if number not in away]
    first = says(writer, chat, 2)
    assert swarm.wait(lambda store: held(store, chat) == first, within=WITHIN)
    swarm.cut(away)
    missed = says(writer, chat, 3)
    assert swarm.wait(lambda store: held(store, chat) == first | missed, within=WITHIN, some=there)
    assert swarm.read_all(lambda store: held(store, chat), away) == [first] * len(away)
    # To the other server, which has to know what the first one was told.
    swarm.move(stack.backends[1], away)
    swarm.start(away)
    assert swarm.wait_live(within=WITHIN, some=away), swarm.troubles()
    assert swarm.wait(lambda store: held(store, chat) == first | missed, within=WITHIN)
    counts = swarm.counts(away)
    assert (counts.resumes, counts.snapshots, counts.holes) == (len(away), len(away), 0)
    assert swarm.counts(there).resumes == 0


def test_who_is_signed_out_stays_away_until_started_again(stack: RunningStack) -> None:
    pair = people(stack, 2)
    with (
        Swarm(stack.backends, headers_of(pair)) as swarm,
        Http(stack.urls.app, observer=Observers()) as http,
    ):
        assert swarm.wait_live(within=WITHIN), swarm.troubles()
        http.use_session(pair[1][1])
        http.json("GET", "/api/session")
        http.json("DELETE", "/api/session")
        eventually(lambda: swarm.counts().live == 1, within=WITHIN, what="the one whose session ended is out")
        eventually(lambda: is_out(swarm), within=WITHIN, what="it knows why")
        swarm.start()
        eventually(lambda: is_out(swarm), within=WITHIN, what="it is refused again")
        assert swarm.counts().live == 1


def test_a_server_whose_clock_is_wrong_serves_as_ever(
    stack: RunningStack, crowd: list[tuple[int, str]], writer: Device, tmp_path: Path
) -> None:
    with observed(stack, tmp_path, clock=YEAR) as server, Swarm([server.base], headers_of(crowd[1:4])) as swarm:
        assert swarm.wait_live(within=WITHIN), swarm.troubles()
        chat = starts_chat(writer, crowd)
        sent = says(writer, chat, 3)
        assert swarm.wait(lambda store: held(store, chat) == sent, within=WITHIN)
        swarm.cut()
        swarm.start()
        assert swarm.wait_live(within=WITHIN), swarm.troubles()
        assert swarm.counts().snapshots == 3


def test_pages_complete_a_window_to_what_a_fresh_snapshot_of_its_bounds_holds(
    stack: RunningStack, crowd: list[tuple[int, str]], writer: Device
) -> None:
    chat = starts_chat(writer, crowd)
    sent = says(writer, chat, 60)
    with Swarm(stack.backends, headers_of(crowd[1:2])) as swarm:
        assert swarm.wait_live(within=WITHIN), swarm.troubles()
        assert len(swarm.read(0, lambda store: held(store, chat))) == 50
        assert swarm.load_older(0, f"chat:{chat}", "message")
        assert swarm.wait(lambda store: held(store, chat) == sent, within=WITHIN)
        assert not swarm.load_older(0, f"chat:{chat}", "message"), "there is nothing left to load"
        with Http(stack.urls.app, observer=Observers()) as http:
            http.use_session(crowd[1][1])
            http.json("GET", "/api/session")
            bounds, orders = swarm.read(0, lambda store: (store.bounds(), store.orders))
            fresh = LiveStore(orders=orders)
            fresh.apply_snapshot(http.json("POST", "/api/live/snapshot", {"bounds": bounds}))
        assert swarm.read(0, LiveStore.canonical) == fresh.canonical()
    assert not [thread for thread in threading.enumerate() if thread.name == "swarm"]
