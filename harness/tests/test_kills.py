"""kill -9 under live traffic: whatever dies at whatever moment, everybody ends with everything, once."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import psutil
import psycopg
import pytest

from harness.actors.errors import Refused, Unreachable
from harness.actors.http import SESSION_COOKIE, Http
from harness.live import LiveStore, SyncLive
from harness.play.observers import Observers
from harness.stack import RunningStack

PEOPLE = 7
MESSAGES = 200
SENDERS = 2
CONVERGED_WITHIN = 60.0
SENT_WITHIN = 60.0


@dataclass(frozen=True)
class Device:
    """A person with one connection, on one of the backends."""

    user: int
    http: Http
    live: SyncLive

    def until_taken(self, method: str, path: str, body: dict[str, object] | None = None) -> Any:
        """Ask until some server has taken it; what is asked here is harmless to repeat."""
        deadline = time.monotonic() + SENT_WITHIN
        pause = threading.Event()
        while True:
            try:
                return self.http.json(method, path, body)
            except (Refused, Unreachable) as error:
                passing = isinstance(error, Unreachable) or error.status >= 500
                if not passing or time.monotonic() > deadline:
                    raise
                pause.wait(0.1)

    def send(self, chat: int, client_id: str, text: str) -> int:
        """The message's id; its client id makes repeating harmless."""
        body: dict[str, object] = {"client_id": client_id, "text": text}
        return int(self.until_taken("POST", f"/api/chats/{chat}/messages", body)["id"])

    def delete(self, chat: int, message: int) -> None:
        with suppress_gone():
            self.until_taken("DELETE", f"/api/chats/{chat}/messages/{message}")

    def holds_all_of(self, chat: int, client_ids: set[str], *, deadline: float) -> bool:
        """Page down where a snapshot has brought the newest only, and wait."""
        while time.monotonic() < deadline:
            if self.live.wait(lambda store: held(store, chat) == client_ids, within=0.5):
                return True
            self.live.load_older(f"chat:{chat}", "message")
        return False

    def equals_a_fresh_snapshot(self, *, within: float) -> bool:
        """One asked with the client's own bounds."""
        bounds, orders = self.live.read(lambda store: (store.bounds(), store.orders))
        fresh = LiveStore(orders=orders)
        fresh.apply_snapshot(self.http.json("POST", "/api/live/snapshot", {"bounds": bounds}))
        return self.live.wait(lambda store: store.canonical() == fresh.canonical(), within=within)


@contextmanager
def suppress_gone() -> Iterator[None]:
    """A deletion whose answer was lost is answered 404 when it is repeated."""
    try:
        yield
    except Refused as error:
        if error.status != 404:
            raise


def held(store: LiveStore, chat: int) -> set[str]:
    return {message["client_id"] for message in store.in_scope(f"chat:{chat}", "message")}


@pytest.fixture(scope="module")
def people(stack: RunningStack) -> list[tuple[int, str]]:
    made = stack.manage("actors", "--count", str(PEOPLE), "--json")
    assert made.returncode == 0, made.stderr
    return [(person["user"], person["session"]) for person in json.loads(made.stdout)]


@pytest.fixture
def devices(stack: RunningStack, people: list[tuple[int, str]]) -> Iterator[list[Device]]:
    made = []
    for number, (user, session) in enumerate(people):
        base = stack.backends[number % len(stack.backends)]
        http = Http(base, observer=Observers())
        http.use_session(session)
        http.json("GET", "/api/session")
        live = SyncLive(
            f"ws{base.removeprefix('http')}/live",
            origin=base,
            headers=partial(dict, Cookie=f"{SESSION_COOKIE}={session}"),
        )
        live.start()
        made.append(Device(user, http, live))
    for device in made:
        assert device.live.wait_live(within=30), device.live.error
    yield made
    for device in made:
        device.live.close()
        device.http.close()


def committed(stack: RunningStack, chat: int) -> set[str]:
    with psycopg.connect(stack.environment["DATABASE_URL"]) as database:
        rows = database.execute("SELECT client_id FROM chat_message WHERE chat_id = %s", [chat]).fetchall()
    return {str(client_id) for (client_id,) in rows}


def leader(stack: RunningStack) -> str:
    """The relay whose database session the heartbeat names."""
    with psycopg.connect(stack.environment["DATABASE_URL"]) as database:
        row = database.execute(
            "SELECT a.client_port FROM live_leader l JOIN pg_stat_activity a ON a.pid = l.pid"
        ).fetchone()
    assert row is not None, "no relay leads"
    for status in stack.resources():
        if status.name.startswith("relay") and status.pid is not None:
            ports = {c.laddr.port for c in psutil.Process(status.pid).net_connections("tcp")}
            if row[0] in ports:
                return status.name
    pytest.fail("the leading session belongs to none of this run's relays")


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("victim", ["redis", "relay", "backend-1"])
def test_a_kill_loses_and_repeats_nothing(
    stack: RunningStack, devices: list[Device], victim: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    random = Random(f"{victim} {seed}")
    sent = threading.Semaphore(0)
    chat = devices[0].http.json("POST", "/api/chats", {"title": "", "members": [d.user for d in devices[1:]]})["id"]
    client_ids = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(MESSAGES)]
    moment = random.randrange(MESSAGES // 10, MESSAGES * 8 // 10)

    def talk(sender: int) -> None:
        for number in range(sender, MESSAGES, SENDERS):
            message = devices[sender].send(chat, client_ids[number], f"message {number}")
            if number in deleted:
                devices[sender].delete(chat, message)
            sent.release()

    def break_something() -> str:
        for _ in range(moment):
            assert sent.acquire(timeout=SENT_WITHIN), "the senders have stopped"
        name = leader(stack) if victim == "relay" else victim
        stack.kill(name)
        stack.start(name)
        return name

    deleted = set(random.sample(range(MESSAGES), MESSAGES // 10))
    with ThreadPoolExecutor(SENDERS + 1) as pool:
        talking = [pool.submit(talk, sender) for sender in range(SENDERS)]
        killed = pool.submit(break_something).result()
        for future in talking:
            future.result()

    began = time.monotonic()
    expected = committed(stack, chat)
    assert expected == {client_id for number, client_id in enumerate(client_ids) if number not in deleted}
    for device in devices:
        complete = device.holds_all_of(chat, expected, deadline=began + CONVERGED_WITHIN)
        assert complete, f"user {device.user}: {device.live.state}, {device.live.error}"
    with capsys.disabled():
        print(
            f"\n{killed} killed, seed {seed}: after message {moment}, complete {time.monotonic() - began:.2f} s later"
        )
    for device in devices:
        assert device.equals_a_fresh_snapshot(within=10), f"user {device.user} differs from a fresh snapshot"
        assert device.live.read(lambda store: store.counts.holes) == 0
