"""What can be wrong at a client's end under live traffic: it does not read, it is gone without a word, it may no longer
see; and what every client meets at a deploy.
"""

from __future__ import annotations

import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import psycopg

from harness.actors.http import SESSION_COOKIE
from harness.faults import network
from harness.faults.catalogue import Breach, fault
from harness.faults.target import Target, to_argument
from harness.live import State, SyncLive
from harness.live.store import JSON
from harness.ports import free_port
from harness.tests import raw
from harness.tests.helpers import eventually
from harness.tests.proxying import spawn

if TYPE_CHECKING:
    from harness.stack import RunningStack
    from harness.tests.traffic import Device, Traffic

TOO_SLOW = "4429"
CHATS, ROWS, LETTERS = 5, 20, 9_900
"""Messages that change at once, 1 MB together, and in each chat just less than what would become a ``stale``."""
MOST_ROUNDS = 40
DELAYED_BY = 5.0
SEEN_WITHIN = 20.0
PINGED_OUT_WITHIN = 60.0
"""Seconds in which a server finds that a client is gone: a ping every 20 s, 20 s for its answer, and some patience."""
TWO_HEARTBEATS = 55.0
"""Seconds without a word after which a client gives a connection up."""


def base_of(stack: RunningStack, device: Device) -> str:
    """The backend that a device is connected to."""
    return stack.backends[stack.backends.index(device.http.base)]


# A client that does not read


@contextmanager
def a_client_does_not_read(stack: RunningStack, traffic: Traffic) -> Iterator[Breach]:
    """The last device reads nothing any more, while megabytes are written to it; whoever reads has them at once."""
    slow, reader = traffic.devices[6], traffic.devices[4]
    assert slow.http.base == reader.http.base, "they are to be on the same backend"
    base = base_of(stack, slow)
    told: dict[str, float] = {"bytes": 0, "longest": 0}

    def closed() -> int:
        return int(raw.figures(base)["closed"].get(TOO_SLOW, 0))

    before, resumes, reads_again = closed(), slow.live.resumes, threading.Event()
    with large_messages(stack, slow, reader) as write:
        # Whoever looks at the store keeps the client's thread from reading on.
        asleep = threading.Thread(target=slow.live.read, args=(lambda _store: reads_again.wait(),))
        asleep.start()
        try:
            for _ in range(MOST_ROUNDS):
                seconds, size = write()
                told["bytes"] += size
                told["longest"] = max(told["longest"], seconds)
                if closed() > before:
                    break
            yield Breach("a client: does not read", ("client",), (lambda: {**told, "closed": closed() - before},))
        finally:
            reads_again.set()
            asleep.join()
        assert told["longest"] < DELAYED_BY, f"another client waited for {told['longest']:.1f} s"
        assert slow.live.wait(lambda _: slow.live.resumes > resumes, within=SEEN_WITHIN), slow.live.error
        assert slow.live.wait_live(within=SEEN_WITHIN)


@contextmanager
def large_messages(stack: RunningStack, *devices: Device) -> Iterator[Callable[[], tuple[float, int]]]:
    """Chats whose messages all change by what is given: it returns after how many seconds the last of the devices had
    them, and how many bytes that was.
    """
    first, reader = devices[0], devices[-1]
    body: dict[str, object] = {"title": "large", "members": [reader.user]}
    chats = [int(first.http.json("POST", "/api/chats", body)["id"]) for _ in range(CHATS)]
    with psycopg.connect(stack.direct["DATABASE_URL"], autocommit=True) as database:
        for chat in chats:
            for number in range(1, ROWS + 1):
                database.execute(
                    "INSERT INTO chat_message (chat_id, sender_id, client_id, number, text) "
                    "VALUES (%s, %s, %s, %s, 'x')",
                    [chat, first.user, uuid.uuid4(), number],
                )
        rounds = iter(range(1, MOST_ROUNDS + 1))

        def write() -> tuple[float, int]:
            text = f"{next(rounds):09d}" + "x" * LETTERS
            database.execute("UPDATE chat_message SET text = %s WHERE chat_id = ANY(%s)", [text, chats])
            began = time.monotonic()
            arrived = reader.live.wait(
                lambda store: (
                    {m["text"] for chat in chats for m in store.in_scope(f"chat:{chat}", "message")} == {text}
                ),
                within=SEEN_WITHIN,
            )
            assert arrived, f"user {reader.user} misses what another does not read: {reader.live.error}"
            return time.monotonic() - began, CHATS * ROWS * len(text)

        try:
            yield write
        finally:
            database.execute("UPDATE chat_message SET text = 'read' WHERE chat_id = ANY(%s)", [chats])


# A client that is gone without a word


@contextmanager
def a_client_is_gone_without_a_word(stack: RunningStack, traffic: Traffic) -> Iterator[Breach]:
    """Nothing passes between the last device and its backend, and nobody is told: each finds it by itself."""
    device = traffic.devices[6]
    base = base_of(stack, device)
    with line_of_its_own(stack, device) as line:
        sockets = raw.figures(base)["sockets"]
        with network.half_open(line, "line") as toll:
            began = time.monotonic()
            eventually(
                lambda: raw.figures(base)["sockets"] < sockets,
                within=PINGED_OUT_WITHIN,
                what="the server has given up a client that does not answer its pings",
            )
            found = {"server": time.monotonic() - began}
            eventually(
                lambda: device.live.state is not State.LIVE,
                within=TWO_HEARTBEATS + 10,
                what="the client has given up a server that says nothing",
            )
            found["client"] = time.monotonic() - began
            figures = {**found, "dropped_bytes": float(toll.counters().dropped_bytes)}
            yield Breach("a client: half_open", ("client",), (lambda: figures,))
        assert device.live.wait_live(within=SEEN_WITHIN), device.live.error


@contextmanager
def line_of_its_own(stack: RunningStack, device: Device) -> Iterator[RunningStack]:
    """A proxy for one device's live connection; what faults of the network ask a stack for, under ``line``."""
    own, port = device.live.url, free_port()
    to = urlsplit(own)
    assert to.port is not None
    with tempfile.TemporaryDirectory() as folder:
        process, message = spawn(Path(folder), to_argument([Target("line", port, "127.0.0.1", to.port)]))
        assert message, "the proxy has not started"
        try:
            move(device, f"ws://127.0.0.1:{port}/live")
            yield cast("RunningStack", SimpleNamespace(sockets=Path(folder), proxies={"line": port}))
        finally:
            move(device, own)
            process.kill()
            process.communicate()


def move(device: Device, url: str) -> None:
    """Have a device connect elsewhere from now on."""
    device.live.cut()
    device.live.url = url
    device.live.start()
    assert device.live.wait_live(within=SEEN_WITHIN), device.live.error


# A client that may no longer see


@contextmanager
def a_member_is_removed(stack: RunningStack, traffic: Traffic) -> Iterator[Breach]:
    """Somebody loses the chat in the middle of the traffic, gets it back, and loses it again until the end."""
    member, owner, chat = traffic.devices[5], traffic.devices[0], traffic.chat
    scope = f"chat:{chat}"
    seen: list[JSON] = []
    witness = SyncLive(
        member.live.url,
        origin=member.http.base,
        headers=partial(dict, Cookie=f"{SESSION_COOKIE}={member.http.cookies[SESSION_COOKIE]}"),
        on_frame=seen.append,
    )

    def remove() -> None:
        owner.until_taken("DELETE", f"/api/chats/{chat}/members/{member.user}")
        for live in (member.live, witness):
            assert live.wait(lambda store: scope not in store.scopes, within=SEEN_WITHIN), live.error
        traffic.goes_on(by=10, within=SEEN_WITHIN, what="while somebody is out")

    def add() -> None:
        owner.until_taken("POST", f"/api/chats/{chat}/members", {"user": member.user})
        for live in (member.live, witness):
            assert live.wait(lambda store: scope in store.scopes, within=SEEN_WITHIN), live.error
        traffic.goes_on(by=10, within=SEEN_WITHIN, what="after somebody has come back")

    with witness:
        assert witness.wait_live(within=SEEN_WITHIN), witness.error
        for _ in range(3):
            remove()
            add()
        remove()
        try:
            yield Breach("a member: removed", ("member",), (lambda: {"left": float(leaves_of(seen, scope))},))
        finally:
            add()
        assert leaves_of(seen, scope) == 4
        assert witness.resumes + witness.snapshots == 1, "it was not the same connection all the time"
        assert leaked(seen, scope) == []


def leaves_of(frames: list[JSON], scope: str) -> int:
    return sum(op["op"] == "leave" and op["scope"] == scope for frame in frames for op in frame["ops"])


def leaked(frames: list[JSON], scope: str) -> list[JSON]:
    """The events of a scope that came between its ``leave`` and its next ``enter``."""
    found, outside = [], False
    for frame in frames:
        if frame["scope"] == scope and outside:
            found.append(frame)
        for op in frame["ops"]:
            if op["op"] in ("enter", "leave") and op["scope"] == scope:
                outside = op["op"] == "leave"
    return found


# A deploy


@contextmanager
def backends_are_restarted_in_turn(stack: RunningStack, traffic: Traffic) -> Iterator[Breach]:
    """Each is asked to end, lets its clients go, and is there again before the next one is asked."""
    before = sum(device.live.resumes for device in traffic.devices)

    def resumes() -> dict[str, float]:
        return {"resumes": float(sum(device.live.resumes for device in traffic.devices) - before)}

    for name in ("backend-1", "backend-2"):
        with fault(stack, name, "restarted"):
            traffic.goes_on(by=10, within=SEEN_WITHIN, what=f"after {name} was restarted")
    yield Breach("backends: restarted in turn", ("backend-1", "backend-2"), (resumes,))
