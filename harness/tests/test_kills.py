"""kill -9 under live traffic: whatever dies at whatever moment, everybody ends with everything, once."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

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

    def send(self, chat: int, client_id: str, text: str) -> None:
        """Until some backend has taken it; the id makes repeating harmless."""
        deadline = time.monotonic() + SENT_WITHIN
        pause = threading.Event()
        while True:
            try:
                self.http.json("POST", f"/api/chats/{chat}/messages", {"client_id": client_id, "text": text})
            except (Refused, Unreachable) as error:
                passing = isinstance(error, Unreachable) or error.status >= 500
                if not passing or time.monotonic() > deadline:
                    raise
                pause.wait(0.1)
            else:
                return

    def holds_all_of(self, chat: int, client_ids: set[str]) -> bool:
        """Page down where a snapshot has brought the newest only, and wait."""
        deadline = time.monotonic() + CONVERGED_WITHIN
        while time.monotonic() < deadline:
            if self.live.wait(lambda store: held(store, chat) == client_ids, within=0.5):
                return True
            self.live.load_older(f"chat:{chat}", "message")
        return False


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
            headers=lambda session=session: {"Cookie": f"{SESSION_COOKIE}={session}"},  # type: ignore[misc]
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


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("victim", ["redis", "relay", "backend-1"])
def test_a_kill_loses_and_repeats_nothing(stack: RunningStack, devices: list[Device], victim: str, seed: int) -> None:
    random = Random(f"{victim} {seed}")
    sent = threading.Semaphore(0)
    chat = devices[0].http.json("POST", "/api/chats", {"title": "", "members": [d.user for d in devices[1:]]})["id"]
    client_ids = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(MESSAGES)]

    def talk(sender: int) -> None:
        for number in range(sender, MESSAGES, SENDERS):
            devices[sender].send(chat, client_ids[number], f"message {number}")
            sent.release()

    def break_something() -> None:
        for _ in range(random.randrange(MESSAGES // 10, MESSAGES * 8 // 10)):
            sent.acquire()
        stack.kill(victim)
        stack.start(victim)

    with ThreadPoolExecutor(SENDERS + 1) as pool:
        for future in [*(pool.submit(talk, sender) for sender in range(SENDERS)), pool.submit(break_something)]:
            future.result()

    expected = committed(stack, chat)
    assert expected == set(client_ids)
    for device in devices:
        assert device.holds_all_of(chat, expected), f"user {device.user}: {device.live.state}, {device.live.error}"
    for device in devices:
        fresh = LiveStore(orders=device.live.store.orders)
        fresh.apply_snapshot(device.http.json("POST", "/api/live/snapshot", {"bounds": device.live.store.bounds()}))
        assert device.live.wait(lambda store, fresh=fresh: store.canonical() == fresh.canonical(), within=10)  # type: ignore[misc]
        assert device.live.store.counts.holes == 0
