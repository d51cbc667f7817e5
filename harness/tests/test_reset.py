"""Named states of a running stack: sockets resume, strangers are told, changes travel when a reset returns."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import psycopg
import pytest

from harness.actors.errors import Refused
from harness.actors.http import SESSION_COOKIE, Http
from harness.errors import NotFollowed, StateFailed
from harness.live import LiveStore
from harness.live.connection import State
from harness.play.observers import Observers
from harness.stack import RunningStack, StackOptions, start_stack
from harness.stack.named import BUSY, EMPTY, SEEDED, STATES
from harness.stack.reset import reset
from harness.tests.conftest import folders_below
from harness.tests.helpers import eventually
from harness.tests.traffic import Device, people

BACK_WITHIN = 20.0
ARRIVES_WITHIN = 10.0
KINDS = frozenset({"postgres", "redis", "prepare", "backend", "relay", "worker"})


# Not the one that other tests share: what they keep in its database would be lost.
@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack whose database is nobody else's, behind proxies."""
    options = StackOptions(services="embedded", scale={"backend": 2, "relay": 2}, resources=KINDS, proxies=True)
    with start_stack(options, folders=folders_below(tmp_path_factory.mktemp("own"))) as stack:
        yield stack


@pytest.fixture
def seeded(own: RunningStack) -> RunningStack:
    """The same, as after its start."""
    own.reset(SEEDED)
    return own


def value(stack: RunningStack, query: str) -> Any:
    with psycopg.connect(stack.direct["DATABASE_URL"]) as database:
        row = database.execute(query.encode()).fetchone()
    return row[0] if row else None


def left_over(stack: RunningStack) -> Any:
    return value(stack, "SELECT string_agg(datname, ' ') FROM pg_database WHERE datname ~ '_(old|next|draft)$'")


@dataclass(frozen=True)
class Company:
    """Alice and Bob on different backends, the chat that is between them, and a stranger of whom no state knows."""

    alice: Device
    bob: Device
    stranger: Device
    chat: int

    def says_and_hears(self, text: str) -> bool:
        """Whether what Alice sends reaches Bob."""
        client_id = str(uuid.uuid4())
        self.alice.http.json("POST", f"/api/chats/{self.chat}/messages", {"client_id": client_id, "text": text})
        return self.bob.live.wait(
            lambda store: any(m["client_id"] == client_id for m in store.in_scope(f"chat:{self.chat}", "message")),
            within=ARRIVES_WITHIN,
        )


def signed_in(stack: RunningStack, name: str, base: str) -> Device:
    with Http(base, observer=Observers()) as http:
        http.json("GET", "/api/session")
        user = http.json("POST", "/api/session", {"username": name, "password": f"{name}-demo"})["user"]["id"]
        return Device.of(base, user=user, session=http.cookies[SESSION_COOKIE])


@contextmanager
def company(stack: RunningStack) -> Iterator[Company]:
    ((number, session),) = people(stack, 1)
    with ExitStack() as leaving:
        found = [
            signed_in(stack, "alice", stack.backends[0]),
            signed_in(stack, "bob", stack.backends[1]),
            Device.of(stack.backends[0], user=number, session=session),
        ]
        for device in found:
            leaving.callback(device.http.close)
            leaving.callback(device.live.close)
            assert device.live.wait_live(within=BACK_WITHIN), device.live.error
        of_both = "SELECT min(chat_id) FROM (SELECT chat_id FROM chat_chatmember WHERE user_id IN ({}, {}) {}) found"
        both = "GROUP BY chat_id HAVING count(*) = 2"
        alice, bob, stranger = found
        chat = value(stack, of_both.format(alice.user, bob.user, both))
        yield Company(alice=alice, bob=bob, stranger=stranger, chat=chat)


def epochs(*devices: Device) -> list[str | None]:
    return [device.live.read(lambda store: store.cursor.epoch if store.cursor else None) for device in devices]


def followed(stack: RunningStack) -> list[str]:
    """The epoch in which each backend is, as it says itself."""
    found = []
    for status in stack.resources():
        if status.name.startswith("backend") and status.url:
            with Http(status.url, observer=Observers()) as http:
                found.append(str(http.json("GET", "/healthz")["live"]["epoch"]))
    assert len(found) == 2
    return found


def titles_in(store: LiveStore) -> list[str]:
    return [chat["title"] for scope in store.windows for chat in store.in_scope(scope, "chat")]


def is_back(device: Device, *, other_than: str | None) -> None:
    """Wait until a device is live in another epoch."""

    def back() -> bool:
        cursor = device.live.store.cursor
        return device.live.state is State.LIVE and cursor is not None and cursor.epoch != other_than

    assert device.live.wait(lambda _: back(), within=BACK_WITHIN), f"{device.live.state}, {device.live.error}"


@pytest.mark.parametrize("state", [BUSY, SEEDED])
def test_sockets_of_those_who_stay_resume_and_strangers_are_signed_out(seeded: RunningStack, state: str) -> None:
    with company(seeded) as found:
        before = epochs(found.alice, found.bob)
        found.alice.http.json("POST", "/api/chats", {"title": "of before", "members": []})
        seeded.reset(state)
        assert len({*followed(seeded), *before}) == 2, "all backends in one epoch, and in another one than before"
        assert found.says_and_hears(f"right after the reset to {state}")
        for device, epoch in zip((found.alice, found.bob), before, strict=True):
            is_back(device, other_than=epoch)
            assert device.equals_a_fresh_snapshot(within=ARRIVES_WITHIN)
            titles = device.live.read(titles_in)
            assert "of before" not in titles
            assert len(titles) > (20 if state == BUSY else 8)
        eventually(
            lambda: found.stranger.live.state is State.SIGNED_OUT, within=BACK_WITHIN, what="the stranger is told"
        )
        with pytest.raises(Refused) as refused:
            found.stranger.http.json("GET", "/api/chats")
        assert refused.value.status in (401, 403)
    counts = {table: value(seeded, f"SELECT count(*) FROM chat_{table}") for table in ("chat", "message")}
    extra = {"chat": 200, "message": 20_000} if state == BUSY else {"chat": 0, "message": 0}
    # One message was sent just now; the seeded talks have some hundred.
    assert counts["chat"] == 45 + extra["chat"]
    assert extra["message"] < counts["message"] < extra["message"] + 500


def test_nobody_is_left_in_the_empty_state(seeded: RunningStack) -> None:
    with company(seeded) as found:
        seeded.reset(EMPTY)
        for device in (found.alice, found.bob, found.stranger):
            told = partial(lambda one: one.live.state is State.SIGNED_OUT, device)
            eventually(told, within=BACK_WITHIN, what="all are told")
    assert value(seeded, "SELECT count(*) FROM accounts_user") == 0
    (first, second) = people(seeded, 2)
    with ExitStack() as leaving:
        devices = [
            Device.of(base, user=who[0], session=who[1])
            for base, who in zip(seeded.backends, (first, second), strict=True)
        ]
        for device in devices:
            leaving.callback(device.live.close)
            assert device.live.wait_live(within=BACK_WITHIN)
        chat = devices[0].http.json("POST", "/api/chats", {"title": "first", "members": [second[0]]})["id"]
        assert devices[1].live.wait(lambda store: f"chat:{chat}" in store.windows, within=ARRIVES_WITHIN)


def test_a_reset_under_live_writers_refuses_nobody_and_leaves_whole_chats(seeded: RunningStack) -> None:
    over, sent = threading.Event(), threading.Semaphore(0)

    def talk(device: Device, chat: int) -> None:
        while not over.is_set():
            # A refusal would end the test: who stays is signed in all the time, and the chat is there in each state.
            device.send(chat, str(uuid.uuid4()), "on and on")
            sent.release()

    with company(seeded) as found, ThreadPoolExecutor(2) as pool:
        talking = [pool.submit(talk, device, found.chat) for device in (found.alice, found.bob)]
        try:
            for state in (BUSY, SEEDED, BUSY):
                for _ in range(20):
                    assert sent.acquire(timeout=BACK_WITHIN), "nothing is taken any more"
                seeded.reset(state)
        finally:
            over.set()
        for one in talking:
            one.result(BACK_WITHIN)
        wrong = value(
            seeded,
            "SELECT count(*) FROM chat_chat c WHERE last_number <>"
            " (SELECT count(*) FROM chat_message m WHERE m.chat_id = c.id AND m.number BETWEEN 1 AND c.last_number)",
        )
        assert wrong == 0
        for device in (found.alice, found.bob):
            is_back(device, other_than=None)
            assert device.equals_a_fresh_snapshot(within=ARRIVES_WITHIN)


def test_one_reset_after_the_other_and_two_at_once(seeded: RunningStack) -> None:
    with company(seeded) as found:
        seeded.reset(BUSY)
        seeded.reset(BUSY)
        assert found.says_and_hears("after two")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(seeded.reset, (SEEDED, SEEDED)))
        assert found.says_and_hears("after two at once")
        eventually(lambda: not left_over(seeded), within=BACK_WITHIN, what="the old databases are removed")


def test_a_person_who_changed_the_password_is_signed_out(seeded: RunningStack) -> None:
    with company(seeded) as found:
        with psycopg.connect(seeded.direct["DATABASE_URL"]) as database:
            database.execute("UPDATE accounts_user SET password = '!' WHERE id = %s", [found.alice.user])
        seeded.reset(SEEDED)
        eventually(lambda: found.alice.live.state is State.SIGNED_OUT, within=BACK_WITHIN, what="Alice is signed out")
        assert value(seeded, f"SELECT count(*) FROM accounts_session WHERE user_id = {found.alice.user}") == 0
        is_back(found.bob, other_than=None)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_backend_that_can_not_follow_is_named(seeded: RunningStack, *, frozen: bool) -> None:
    seeded.kill("backend-2", SIGSTOP) if frozen else seeded.kill("backend-2")
    try:
        with pytest.raises(NotFollowed, match="backend-2 does not follow") as failed:
            reset(seeded, SEEDED, within=3.0)
        assert failed.value.resources == ("backend-2",)
        assert "harness logs backend-2" in failed.value.hint
    finally:
        seeded.kill("backend-2", SIGCONT) if frozen else seeded.start("backend-2")
    seeded.reset(SEEDED)


def test_without_a_relay_nothing_arrives_and_that_is_said(seeded: RunningStack) -> None:
    relays = ("relay-1", "relay-2")
    for name in relays:
        seeded.kill(name)
    try:
        with pytest.raises(NotFollowed, match="no relay") as failed:
            reset(seeded, SEEDED, within=2.0)
        assert failed.value.resources == relays
    finally:
        for name in relays:
            seeded.start(name)
    seeded.reset(SEEDED)


def test_a_state_is_made_once_and_people_are_told(tmp_path: Path) -> None:
    options = StackOptions(services="embedded", resources=frozenset({"postgres", "redis"}))
    with start_stack(options, folders=folders_below(tmp_path)) as stack:
        told: list[str] = []
        # Without backends there is nobody to wait for.
        stack.reset(BUSY, tell=told.append)
        assert [line.split(",")[0].split(":")[0] for line in told] == [
            "Making the state seeded",
            "Made the state seeded",
            "Making the state busy",
            "Made the state busy",
        ]
        told.clear()
        stack.reset(SEEDED, tell=told.append)
        stack.reset(BUSY, tell=told.append)
        assert told == []
        assert value(stack, "SELECT count(*) FROM chat_chat") == 245
        assert value(stack, "SELECT count(*) FROM live_outbox") == 0


def test_another_state_is_refused(own: RunningStack) -> None:
    with pytest.raises(StateFailed, match="no state 'full'") as failed:
        own.reset("full")
    assert all(name in failed.value.hint for name in STATES)
