"""Whatever breaks under live traffic: it is shown to bite, the product stands it as it says, and nothing is lost.

Rows marked ``heavy`` are played by ``nox -s full`` alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import httpx
import psycopg
import pytest
import redis

from harness.faults.catalogue import Breach, fault
from harness.stack import RunningStack
from harness.tests.client_faults import (
    a_client_does_not_read,
    a_client_is_gone_without_a_word,
    a_member_is_removed,
    backends_are_restarted_in_turn,
)
from harness.tests.helpers import eventually
from harness.tests.traffic import Answer, Device, Traffic, converges, head, leader

CONVERGES_WITHIN = 30.0
RECOVERS_WITHIN = 30.0
BITES_WITHIN = 20.0
CUT_OFF_WITHIN = 5.0
"""Well before whoever asks would give up by itself."""
GIVEN_UP_WITHIN = 13.0
"""Seconds that servers wait for an answer of the database, and some to say so."""

Bites = Callable[["Scene"], bool]


@dataclass
class Scene:
    """What a row looks at while its fault is in force."""

    stack: RunningStack
    traffic: Traffic
    breach: Breach
    answers: int
    pages: int

    @property
    def answered(self) -> list[Answer]:
        """How the API answered since the fault began."""
        return self.traffic.answers[self.answers :]

    @property
    def loaded(self) -> list[Answer]:
        """How pages came since the fault began."""
        return self.traffic.pages[self.pages :]


@dataclass(frozen=True)
class Row:
    """One fault. `bites`: shown before the fault ends; `stands`: what people get meanwhile must satisfy it.

    `goes_on`: messages are taken and arrive during the fault.
    """

    name: str
    breaks: Callable[[RunningStack, Traffic], AbstractContextManager[Breach]]
    bites: Bites
    stands: Bites
    goes_on: bool
    heavy: bool = True


def breaking(kind: str, how: str, **settings: float) -> Callable[..., AbstractContextManager[Breach]]:
    return lambda stack, _traffic: fault(stack, kind, how, **settings)


# What shows that a fault is there


def figure(name: str, at_least: float = 1) -> Bites:
    return lambda scene: scene.breach.figures().get(name, 0) >= at_least


def refuses_tcp(name: str) -> Bites:
    def refused(scene: Scene) -> bool:
        address = scene.stack.resource(name).url
        try:
            httpx.get((address or "").replace("redis:", "http:", 1), timeout=1, trust_env=False)
        except httpx.TransportError as error:
            return isinstance(error, httpx.ConnectError)
        return False

    return refused


def redis_is_silent(scene: Scene) -> bool:
    patience = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    with redis.Redis.from_url(scene.stack.direct["REDIS_URL"], socket_timeout=0.3, retry=patience) as client:
        try:
            client.publish("anything", "")
        except redis.TimeoutError:
            return True
    return False


def pages_are_shells(scene: Scene) -> bool:
    return any(page.by == "shell" for page in scene.loaded)


# What people get meanwhile


def as_ever(scene: Scene) -> bool:
    """The API answers 200, pages come from the renderer or as shells: nobody gets an error."""
    return {answer.outcome for answer in (*scene.answered, *scene.loaded)} <= {200}


def errors_not_hangs(scene: Scene) -> bool:
    """Servers that can't serve say so, and soon: every request has an answer."""
    return {answer.outcome for answer in (*scene.answered, *scene.loaded)} <= {200, 500, 503}


def errors_in_time(scene: Scene) -> bool:
    """The same of a database that says nothing: it is waited for, but not for long."""
    told = (*scene.answered, *scene.loaded)
    return errors_not_hangs(scene) and all(answer.seconds < GIVEN_UP_WITHIN for answer in told)


def cut_off_at_most(scene: Scene) -> bool:
    """Whoever asks a server that is not there is cut off at once; whoever is answered is served."""
    told = (*scene.answered, *scene.loaded)
    cut_off = [answer for answer in told if answer.outcome == "no answer"]
    return {answer.outcome for answer in told} <= {200, "no answer"} and all(
        a.seconds < CUT_OFF_WITHIN for a in cut_off
    )


def the_other_backend_serves(scene: Scene) -> bool:
    """Whoever asks the one that is broken is served or cut off at once, everybody else is served as ever."""
    cut_off = [answer for answer in scene.answered if answer.outcome == "no answer"]
    soon = all(answer.seconds < CUT_OFF_WITHIN for answer in cut_off)
    told = {answer.outcome for answer in scene.answered}
    return soon and told <= {200, "no answer"} and {page.outcome for page in scene.loaded} == {200}


# What shows that it has ended


def is_whole(stack: RunningStack) -> bool:
    """Both backends reach Postgres, Redis and a renderer, all through the proxies, and batches are left alone."""
    with redis.Redis.from_url(stack.direct["REDIS_URL"]) as client:
        if client.exists("stack:lossy"):
            return False
    for base in stack.backends:
        try:
            checks = httpx.get(f"{base}/readyz", timeout=1, trust_env=False).json()["checks"]
        except (httpx.TransportError, ValueError):
            return False
        if set(checks.values()) != {"ok"}:
            return False
    return True


# Faults that are more than a word


@contextmanager
def redis_forgets(stack: RunningStack, _traffic: Traffic) -> Iterator[Breach]:
    """Killed and started again with nothing in it."""
    with redis.Redis.from_url(stack.direct["REDIS_URL"]) as client:
        client.set("before", "the kill")
    with fault(stack, "redis", "killed") as breach:
        pass
    with redis.Redis.from_url(stack.direct["REDIS_URL"]) as client:
        assert client.get("before") is None, "it has forgotten nothing"
    yield breach


@contextmanager
def postgres_restarts(stack: RunningStack, _traffic: Traffic) -> Iterator[Breach]:
    before = stack.resource("postgres").pid
    with fault(stack, "postgres", "restarted") as breach:
        assert stack.resource("postgres").pid != before
        yield breach


@contextmanager
def a_writer_waits(stack: RunningStack, traffic: Traffic) -> Iterator[Breach]:
    """A transaction that has written a live row stays open, beside one that only holds its snapshot."""
    with (
        fault(stack, "postgres", "idle_transaction") as breach,
        psycopg.connect(stack.direct["DATABASE_URL"]) as writer,
    ):
        # Not of this chat: its lock on the chat would rightly keep everybody else from writing there.
        writer.execute("UPDATE accounts_profile SET bio = 'half way' WHERE user_id = %s", [traffic.devices[-1].user])
        yield breach
        writer.commit()
    last = traffic.devices[-1]
    assert last.live.wait(lambda store: (store.entity("profile", last.user) or {}).get("bio") == "half way", within=5)


@contextmanager
def relay_dies_between_commit_and_send(stack: RunningStack, traffic: Traffic) -> Iterator[Breach]:
    """Redis swallows what it is sent, so the leader has committed events that nobody was told of; then it is killed."""
    with redis.Redis.from_url(stack.direct["REDIS_URL"]) as client, client.pubsub() as subscription, ExitStack() as end:
        subscription.psubscribe("*live*")

        def is_heard() -> bool:
            message = subscription.get_message(timeout=0.1)
            return message is not None and message["type"] == "pmessage"

        eventually(is_heard, within=BITES_WITHIN, what="batches are heard as long as they are sent")
        breach = end.enter_context(fault(stack, "redis", "half_open"))
        # What was sent before it.
        while subscription.get_message(timeout=0.1) is not None:
            pass
        before = head(stack)
        eventually(lambda: head(stack) > before + 3, within=BITES_WITHIN, what="events are committed and not sent")
        committed, name = head(stack), leader(stack)
        stack.kill(name)
        eventually(lambda: breach.figures().get("dropped_bytes", 0) > 0, within=5, what="something was swallowed")
        assert not is_heard(), "a batch was sent after all"
        stack.start(name)
        devices = traffic.devices
        # The polls of the hubs find what nobody told them of.
        for device in devices:
            assert device.live.wait(lambda store: (store.seq or 0) >= committed, within=10)
        yield breach


ROWS = (
    Row("redis killed", breaking("redis", "killed"), refuses_tcp("redis"), as_ever, goes_on=True, heavy=False),
    Row("redis restarted empty", redis_forgets, lambda _: True, as_ever, goes_on=True),
    Row("redis paused", breaking("redis", "paused"), redis_is_silent, as_ever, goes_on=True),
    Row(
        "redis slow",
        breaking("redis", "latency", seconds=0.25, jitter=0.05),
        figure("delayed"),
        as_ever,
        goes_on=True,
    ),
    Row("postgres restarted", postgres_restarts, lambda _: True, errors_not_hangs, goes_on=True),
    Row(
        "postgres exhausted",
        breaking("postgres", "exhausted"),
        figure("refused"),
        errors_not_hangs,
        goes_on=False,
    ),
    Row("postgres idle transaction", a_writer_waits, figure("kept_back", 10), as_ever, goes_on=True),
    Row(
        "relay killed between commit and send",
        relay_dies_between_commit_and_send,
        figure("dropped_bytes"),
        as_ever,
        goes_on=True,
    ),
    Row(
        "backend killed",
        breaking("backend-1", "killed"),
        refuses_tcp("backend-1"),
        the_other_backend_serves,
        True,
        False,
    ),
    Row("renderer killed", breaking("renderer", "killed"), pages_are_shells, as_ever, goes_on=True, heavy=False),
    Row("renderer frozen", breaking("renderer", "frozen"), pages_are_shells, as_ever, goes_on=True),
    Row("renderer failing", breaking("renderer", "failing"), pages_are_shells, as_ever, goes_on=True),
    Row("redis down", breaking("redis", "down"), figure("cut"), as_ever, goes_on=True),
    Row("redis half open", breaking("redis", "half_open"), figure("dropped_bytes"), as_ever, goes_on=True),
    Row("postgres down", breaking("postgres", "down"), figure("cut"), errors_not_hangs, goes_on=False),
    Row(
        "postgres half open", breaking("postgres", "half_open"), figure("dropped_bytes"), errors_in_time, goes_on=False
    ),
    Row("postgres slow", breaking("postgres", "latency", seconds=0.02), figure("delayed"), as_ever, goes_on=True),
    Row(
        "backend reset",
        breaking("backend-1", "reset", after=0.1),
        figure("cut"),
        the_other_backend_serves,
        goes_on=True,
    ),
    Row(
        "backends drained in turn", backends_are_restarted_in_turn, figure("resumes", 7), cut_off_at_most, goes_on=True
    ),
    Row("client does not read", a_client_does_not_read, figure("closed"), as_ever, goes_on=True),
    Row("client gone without a word", a_client_is_gone_without_a_word, figure("dropped_bytes"), as_ever, goes_on=True),
    Row("member removed", a_member_is_removed, figure("left", 4), as_ever, goes_on=True, heavy=False),
    Row("layer lossy", breaking("layer", "lossy"), figure("dropped"), as_ever, goes_on=True),
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=pytest.mark.heavy if row.heavy else ()) for row in ROWS]
)
def test_a_fault_under_traffic(
    stack: RunningStack, devices: list[Device], row: Row, capsys: pytest.CaptureFixture[str]
) -> None:
    with Traffic(stack, devices, seed=sum(map(ord, row.name))) as traffic:
        traffic.goes_on(by=10, within=RECOVERS_WITHIN, what="before anything breaks")
        answers, pages = traffic.since()
        with row.breaks(stack, traffic) as breach:
            scene = Scene(stack, traffic, breach, answers, pages)
            eventually(lambda: row.bites(scene), within=BITES_WITHIN, what=f"{row.name} bites")
            if row.goes_on:
                traffic.goes_on(by=20, within=RECOVERS_WITHIN, what=f"with {row.name}")
                # On the second backend, which no row breaks.
                traffic.reaches(devices[1], within=RECOVERS_WITHIN)
            traffic.tries(times=20, within=RECOVERS_WITHIN)
            assert row.stands(scene), f"meanwhile: {scene.answered} {scene.loaded}"
            figures = breach.figures()
        mended = time.monotonic()
        traffic.goes_on(by=10, within=RECOVERS_WITHIN, what=f"after {row.name}")
        recovered = time.monotonic() - mended
        eventually(lambda: is_whole(stack), within=RECOVERS_WITHIN, what=f"nothing is left of {row.name}")
        answers, pages = traffic.since()
        traffic.tries(times=10, within=RECOVERS_WITHIN)
        assert as_ever(Scene(stack, traffic, breach, answers, pages)), traffic.answers[answers:] + traffic.pages[pages:]
    took = converges(stack, traffic, within=CONVERGES_WITHIN)
    with capsys.disabled():
        told = ", ".join(f"{name} {value:g}" for name, value in figures.items())
        print(f"\n{row.name}: {told or 'seen'}; 10 messages {recovered:.2f} s after, alike {took:.2f} s later")
