"""Deploys: a backend that is asked to end lets its sockets go one after another, and nobody loses anything."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from harness.actors.errors import Refused, Unreachable
from harness.actors.http import SESSION_COOKIE, Http
from harness.live import SyncLive
from harness.live.store import JSON
from harness.play.observers import Observers
from harness.stack import RunningStack
from harness.tests import raw
from harness.tests.helpers import eventually
from harness.tests.traffic import people

SOCKETS = 300
USERS = 15
PACE = 0.01
ENDS_WITHIN = 5.0
"""Seconds that a process without sockets takes, imports and all."""
A_MOMENT = 3.0
RECOVERS_WITHIN = 30.0


@dataclass
class Crowd:
    """Many sockets on one backend, and when and how each was closed."""

    base: str
    sessions: list[str]
    count: int
    ends: list[tuple[float, int, int | None]] = field(default_factory=list)
    opened: int = 0

    async def meet(self) -> None:
        """Open all of them and stay until the last one is closed."""
        gate = asyncio.Semaphore(20)
        await asyncio.gather(*(self._stay(number, gate) for number in range(self.count)))

    async def _stay(self, number: int, gate: asyncio.Semaphore) -> None:
        session = self.sessions[number % len(self.sessions)]
        async with gate:
            client = await connect(**raw.options(self.base, session))
            await client.send(raw.HELLO)
            while '"type":"heartbeat"' not in str(await client.recv()):
                pass
        self.opened += 1
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            self.ends.append((time.monotonic(), number, closed.rcvd.code if closed.rcvd else None))


@pytest.fixture
def backend(stack: RunningStack) -> Iterator[str]:
    """The name of a backend that the test may end; it is there again afterwards."""
    name = "backend-1"
    yield name
    eventually(lambda: stack.resource(name).pid is None, within=RECOVERS_WITHIN, what=f"{name} has ended")
    stack.start(name)


def state(base: str) -> tuple[int, str]:
    """The status of /readyz and what it says of the live side."""
    response = httpx.get(f"{base}/readyz", timeout=5, trust_env=False)
    return response.status_code, response.json()["checks"]["live"]


def test_many_sockets_are_let_go_one_after_another(stack: RunningStack, backend: str) -> None:
    base = stack.backends[0]
    found = [session for _user, session in people(stack, USERS + 1)]
    crowd = Crowd(base, found[:USERS], SOCKETS)
    with ThreadPoolExecutor(1) as pool:
        met = pool.submit(asyncio.run, crowd.meet())
        eventually(lambda: crowd.opened == SOCKETS, within=60, what="all sockets are open")
        assert state(base) == (200, "ok")
        began = time.monotonic()
        stack.kill(backend, signal.SIGTERM)
        eventually(lambda: len(crowd.ends) > 0, within=5, what="the first one is closed")
        assert state(base) == (503, "draining")
        assert httpx.get(f"{base}/healthz", timeout=5, trust_env=False).json()["live"]["closed"]["1012"] > 0
        with raw.socket(base, found[USERS]) as late:
            assert raw.closed_with(late) == 1012
        assert len(crowd.ends) < SOCKETS, "it was over before anybody could look"
        met.result(timeout=30)
    times = [at - began for at, _number, _code in crowd.ends]
    assert {code for _at, _number, code in crowd.ends} == {1012}
    numbers = [number for _at, number, _code in crowd.ends]
    assert numbers != sorted(numbers)
    assert times[-1] - times[0] > SOCKETS * PACE / 2
    # Where they all end in one moment, that moment holds most of them.
    busiest = max(sum(at <= other < at + 0.25 for other in times) for at in times)
    assert busiest < SOCKETS * 3 / 4, f"{busiest} of {SOCKETS} were closed within a quarter of a second"


def test_without_sockets_the_end_comes_at_once(stack: RunningStack, backend: str) -> None:
    pid = stack.resource(backend).pid
    assert pid is not None
    eventually(lambda: raw.figures(stack.backends[0])["sockets"] == 0, within=10, what="nobody is there")
    process = psutil.Process(pid)
    stack.kill(backend, signal.SIGTERM)
    psutil.wait_procs([process], timeout=ENDS_WITHIN)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


class Roaming(SyncLive):
    """Comes back to the next backend each time, as behind a load balancer."""

    def __init__(self, bases: Iterable[str], session: str, *, on_frame: Callable[[JSON], None]) -> None:
        bases = tuple(bases)
        self._turns = itertools.cycle(bases)
        cookie = {"Cookie": f"{SESSION_COOKIE}={session}"}
        super().__init__("", origin=bases[0], headers=lambda: cookie, on_frame=on_frame)

    @property
    def url(self) -> str:
        return f"ws{next(self._turns).removeprefix('http')}/live"

    @url.setter
    def url(self, _url: str) -> None:
        """Each connection has its own."""


@dataclass
class Deploy:
    """People who roam and one who talks to whichever backend listens, all through a rolling restart."""

    stack: RunningStack
    found: list[tuple[int, str]]
    sent: dict[str, float] = field(default_factory=dict)
    heard: list[tuple[int, str, float]] = field(default_factory=list)

    @contextmanager
    def people(self) -> Iterator[list[Roaming]]:
        """Everybody with the app open, on the backends in turn."""
        bases = self.stack.backends
        made = [
            Roaming(bases[number % 2 :] + bases[: number % 2], session, on_frame=partial(self._hear, user))
            for number, (user, session) in enumerate(self.found)
        ]
        try:
            for live in made:
                live.start()
            for live in made:
                assert live.wait_live(within=30), live.error
            yield made
        finally:
            for live in made:
                live.close()

    def _hear(self, user: int, frame: JSON) -> None:
        now = time.monotonic()
        for op in frame["ops"]:
            if op["op"] == "upsert" and op["type"] == "message":
                self.heard.append((user, op["data"]["client_id"], now))

    def goes_on(self) -> None:
        """Wait until ten more messages are taken."""
        wanted = len(self.sent) + 10
        eventually(lambda: len(self.sent) >= wanted, within=RECOVERS_WITHIN, what="ten more are taken")

    def talk(self, devices: list[Http], chat: int, over: threading.Event) -> None:
        """Send without a pause; a message is taken by one backend or the other."""
        for number in itertools.count():
            if over.is_set():
                return
            client_id = str(uuid.UUID(int=number + 1, version=4))
            body: dict[str, object] = {"client_id": client_id, "text": f"message {number}"}
            for http in itertools.islice(itertools.cycle(devices), 100):
                try:
                    http.json("POST", f"/api/chats/{chat}/messages", body)
                except (Unreachable, Refused):
                    continue
                self.sent[client_id] = time.monotonic()
                break
            over.wait(0.02)


@pytest.mark.heavy
def test_a_rolling_restart_loses_nothing_and_nobody_waits(
    stack: RunningStack, capsys: pytest.CaptureFixture[str]
) -> None:
    found = people(stack, 6)
    deploy = Deploy(stack, found)
    over = threading.Event()
    https = [Http(base, observer=Observers()) for base in stack.backends]
    for http in https:
        http.use_session(found[0][1])
        http.json("GET", "/api/session")
    members = [user for user, _session in found[1:]]
    chat = int(https[0].json("POST", "/api/chats", {"title": "", "members": members})["id"])
    with deploy.people() as lives, ThreadPoolExecutor(1) as pool:
        talking = pool.submit(deploy.talk, https, chat, over)
        try:
            for name in ("backend-1", "backend-2"):
                deploy.goes_on()
                stack.restart(name)
            deploy.goes_on()
        finally:
            over.set()
        talking.result()
        for live in lives:
            assert live.wait(
                lambda store: set(deploy.sent) <= {m["client_id"] for m in store.in_scope(f"chat:{chat}", "message")},
                within=10,
            ), live.error
            assert live.resumes >= 1, "it was never asked to come back"
            assert live.snapshots == 1, "it was given everything anew"
            assert live.read(lambda store: store.counts.holes) == 0
    for http in https:
        http.close()
    # Nobody heard anything twice, and whoever was sent elsewhere caught up at once.
    assert len(deploy.heard) == len({(user, client_id) for user, client_id, _at in deploy.heard})
    waits = [at - deploy.sent[client_id] for _user, client_id, at in deploy.heard]
    with capsys.disabled():
        print(f"\n{len(deploy.sent)} messages to {len(lives)} people, the longest wait {max(waits):.2f} s")
    assert max(waits) < A_MOMENT
