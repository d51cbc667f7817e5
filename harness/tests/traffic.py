"""Live traffic to break things under: people who talk, ask and load pages, and the proof that they end alike."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Self

import psycopg

from harness.actors.errors import Refused, Unreachable
from harness.actors.http import SESSION_COOKIE, Http
from harness.actors.pages import Page
from harness.live import LiveStore, SyncLive
from harness.play.observers import Observers
from harness.stack import RunningStack
from harness.tests.helpers import eventually

SENT_WITHIN = 60.0
"""Seconds after which a message that nobody takes fails the test, however broken things are."""
LOOK_EVERY = 0.1


@dataclass(frozen=True)
class Device:
    """A person with one connection, on one of the backends."""

    user: int
    http: Http
    live: SyncLive

    @classmethod
    def of(cls, base: str, *, user: int, session: str, store: LiveStore | None = None) -> Device:
        http = Http(base, observer=Observers())
        http.use_session(session)
        http.json("GET", "/api/session")
        live = SyncLive(
            f"ws{base.removeprefix('http')}/live",
            origin=base,
            headers=partial(dict, Cookie=f"{SESSION_COOKIE}={session}"),
            store=store,
        )
        live.start()
        return cls(user, http, live)

    def until_taken(
        self,
        method: str,
        path: str,
        body: dict[str, object] | None = None,
        *,
        attempt: Callable[[], None] = lambda: None,
    ) -> Any:
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
                attempt()
                pause.wait(LOOK_EVERY)

    def send(self, chat: int, client_id: str, text: str) -> int:
        """The message's id; its client id makes repeating harmless."""
        body: dict[str, object] = {"client_id": client_id, "text": text}
        return int(self.until_taken("POST", f"/api/chats/{chat}/messages", body)["id"])

    def delete(self, chat: int, message: int) -> None:
        """Delete a message, once or again."""
        with gone_is_fine():
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
        fresh.apply_snapshot(self.until_taken("POST", "/api/live/snapshot", {"bounds": bounds}))
        return self.live.wait(lambda store: store.canonical() == fresh.canonical(), within=within)


@contextmanager
def gone_is_fine() -> Iterator[None]:
    """A deletion whose answer was lost is answered 404 when it is repeated."""
    try:
        yield
    except Refused as error:
        if error.status != 404:
            raise


def held(store: LiveStore, chat: int) -> set[str]:
    """The client ids of the messages that a client has of a chat."""
    return {message["client_id"] for message in store.in_scope(f"chat:{chat}", "message")}


def committed(stack: RunningStack, chat: int) -> set[str]:
    """The same, of the database."""
    with psycopg.connect(stack.direct["DATABASE_URL"]) as database:
        rows = database.execute("SELECT client_id FROM chat_message WHERE chat_id = %s", [chat]).fetchall()
    return {str(client_id) for (client_id,) in rows}


def head(stack: RunningStack) -> int:
    """The seq of the newest event."""
    return int(_value(stack, "SELECT seq FROM live_head"))


def leader(stack: RunningStack) -> str:
    """The relay whose database session the heartbeat names."""
    return str(_value(stack, "SELECT a.application_name FROM live_leader l JOIN pg_stat_activity a ON a.pid = l.pid"))


def _value(stack: RunningStack, query: str) -> Any:
    with psycopg.connect(stack.direct["DATABASE_URL"]) as database:
        row = database.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def people(stack: RunningStack, count: int) -> list[tuple[int, str]]:
    """New people with a session each."""
    made = stack.manage("actors", "--count", str(count), "--json")
    assert made.returncode == 0, made.stderr
    return [(person["user"], person["session"]) for person in json.loads(made.stdout)]


@contextmanager
def devices_of(stack: RunningStack, found: list[tuple[int, str]]) -> Iterator[list[Device]]:
    """Everybody with the app open, on the backends in turn."""
    made = [
        Device.of(stack.backends[number % len(stack.backends)], user=user, session=session)
        for number, (user, session) in enumerate(found)
    ]
    try:
        for device in made:
            assert device.live.wait_live(within=30), device.live.error
        yield made
    finally:
        for device in made:
            device.live.close()
            device.http.close()


@dataclass(frozen=True)
class Answer:
    """How one request went: the status, or the name of the error; in how many seconds; who rendered it."""

    outcome: int | str
    seconds: float
    by: str = ""


@dataclass
class Traffic:
    """Two people send without a pause, one in eight messages is deleted again; one asks the API, one loads pages.

    Everything counts up until it leaves the ``with`` block. `kept` are the client ids of the messages that were taken
    and not deleted again.
    """

    stack: RunningStack
    devices: list[Device]
    seed: int
    taken: int = 0
    attempts: int = 0
    kept: set[str] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)
    pages: list[Answer] = field(default_factory=list)

    def __enter__(self) -> Self:
        members = [device.user for device in self.devices[1:]]
        self.chat = int(self.devices[0].http.json("POST", "/api/chats", {"title": "", "members": members})["id"])
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(4)
        self._lock = threading.Lock()
        work: list[Callable[[], None]] = [partial(self._talk, 0), partial(self._talk, 1), self._ask, self._load]
        self._working: list[Future[None]] = [self._pool.submit(one) for one in work]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for future in self._working:
            future.result()

    def goes_on(self, *, by: int, within: float, what: str) -> None:
        """Wait until `by` more messages were taken; whoever has failed meanwhile fails the test."""
        wanted = self.taken + by
        self._until(lambda: self.taken >= wanted, within, f"{by} more messages are taken {what}")

    def tries(self, *, times: int, within: float) -> None:
        """Wait until so many more requests have ended, well or not, some of the API and some of pages among them."""
        wanted, (answers, pages) = self.attempts + times, self.since()

        def tried() -> bool:
            return self.attempts >= wanted and len(self.answers) > answers and len(self.pages) > pages

        self._until(tried, within, f"{times} more requests end, well or not, some of each kind")

    def reaches(self, device: Device, *, within: float) -> None:
        """Wait until a device holds what is committed now, but for what is deleted meanwhile."""
        now = committed(self.stack, self.chat)

        def holds() -> bool:
            has = device.live.read(lambda store: held(store, self.chat))
            return bool(now) and not (now - has) & committed(self.stack, self.chat)

        self._until(holds, within, f"everything committed reaches user {device.user}")

    def since(self) -> tuple[int, int]:
        """A place in `answers` and `pages`."""
        return len(self.answers), len(self.pages)

    def _until(self, condition: Callable[[], bool], within: float, what: str) -> None:
        def looks() -> bool:
            for future in self._working:
                if future.done():
                    future.result()
            return condition()

        eventually(looks, within=within, what=what)

    def _count(self) -> None:
        with self._lock:
            self.attempts += 1

    def _talk(self, sender: int) -> None:
        random, device = Random(f"{self.seed} {sender}"), self.devices[sender]
        number = 0
        while not self._over.is_set():
            number += 1
            client_id = str(uuid.UUID(int=random.getrandbits(128), version=4))
            body: dict[str, object] = {"client_id": client_id, "text": f"message {number} of {sender}"}
            path = f"/api/chats/{self.chat}/messages"
            made = device.until_taken("POST", path, body, attempt=self._count)
            deleted = random.randrange(8) == 0
            if deleted:
                device.delete(self.chat, int(made["id"]))
            with self._lock:
                if not deleted:
                    self.kept.add(client_id)
                self.taken += 1
                self.attempts += 1

    def _ask(self) -> None:
        self._keep_asking(self.devices[2], "/api/session", self.answers)

    def _load(self) -> None:
        self._keep_asking(self.devices[3], f"/chats/{self.chat}/", self.pages)

    def _keep_asking(self, device: Device, path: str, told: list[Answer]) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            outcome: int | str = "no answer"
            by = ""
            with suppress(Unreachable):
                response = device.http.page(path)
                outcome = response.status_code
                by = Page.of(response).by if told is self.pages else ""
            told.append(Answer(outcome, time.monotonic() - began, by))
            self._count()
            self._over.wait(LOOK_EVERY)


def converges(stack: RunningStack, traffic: Traffic, *, within: float) -> float:
    """Every device ends with what was taken, each once, and equal to a fresh snapshot; after how many seconds.

    For when the traffic is over.
    """
    began = time.monotonic()
    expected = committed(stack, traffic.chat)
    assert expected, "nothing was sent: this proves nothing"
    assert expected == traffic.kept, "the database holds other messages than the servers said they had taken"
    for device in traffic.devices:
        complete = device.holds_all_of(traffic.chat, expected, deadline=began + within)
        missing = len(expected - device.live.read(lambda store: held(store, traffic.chat)))
        assert complete, f"user {device.user} misses {missing}: {device.live.state}, {device.live.error}"
    took = time.monotonic() - began
    for device in traffic.devices:
        assert device.equals_a_fresh_snapshot(within=10), f"user {device.user} differs from a fresh snapshot"
        assert device.live.read(lambda store: store.counts.holes) == 0
    return took
