"""Feels the pulse of a running stack: states, health, events a second, how long changes wait, last log lines."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import psutil

from harness.errors import SupervisorGone, SupervisorSilent
from harness.report.cleaning import Cleaner
from harness.stack import RunningStack
from harness.stack.explain import tail
from harness.stack.status import ResourceStatus

ASK_EVERY = 0.7
"""Seconds from one question to a backend to the next."""
ANSWER_WITHIN = 2.0
"""Seconds after which a backend is said not to answer."""
RATE_OVER = 3.0
"""Seconds over which events are counted."""
_LINE = 300


@dataclass(frozen=True, kw_only=True)
class Health:
    """What a backend says of itself: ``checks`` by name, ``ok`` or what is wrong; none if it does not answer."""

    answers: bool
    ready: bool = False
    checks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A resource."""

    status: ResourceStatus
    uptime: float | None
    """Seconds; None without a process of its own."""
    line: str
    """The last of its log, without secrets."""
    health: Health | None
    """Of a backend that is ready."""

    def record(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            **self.status.record(),
            "seconds": self.status.seconds,
            "uptime": None if self.uptime is None else round(self.uptime, 1),
            "line": self.line,
            "health": None if self.health is None else {"ready": self.health.ready, "checks": dict(self.health.checks)},
        }


@dataclass(frozen=True, kw_only=True)
class Beat:
    """The stack at one moment. Figures are None while no backend tells them."""

    at: datetime
    run: str
    phase: str
    rows: tuple[Row, ...]
    events_per_second: float | None
    sockets: int | None
    lag: float | None
    """For how many seconds the oldest change that no relay has taken has been seen waiting; 0 if none waits."""

    def record(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "at": self.at.isoformat(timespec="milliseconds"),
            "run": self.run,
            "phase": self.phase,
            "resources": [row.record() for row in self.rows],
            "events_per_second": None if self.events_per_second is None else round(self.events_per_second, 2),
            "sockets": self.sockets,
            "relay_lag": None if self.lag is None else round(self.lag, 2),
        }


class Waiting:
    """For how long the oldest change has been waiting, from looks at the ids of those that wait.

    A change was there already at every look whose newest one was not older. So it is never told to wait longer than it
    does, and shorter by no more than the time from one look to the next.
    """

    def __init__(self) -> None:
        self._epoch: str | None = None
        self._looks: deque[tuple[float, int]] = deque()

    def note(self, at: float, epoch: str | None, oldest: int | None, newest: int | None) -> None:
        """At the time `at` these were the ids of the oldest and the newest waiting change; None for none."""
        if oldest is None or newest is None or epoch != self._epoch:
            # Ids of another life of the log say nothing about these.
            self._looks.clear()
            self._epoch = epoch
        if oldest is None or newest is None:
            return
        while self._looks and self._looks[0][1] < oldest:
            self._looks.popleft()
        if not self._looks or newest > self._looks[-1][1]:
            self._looks.append((at, newest))

    def seconds(self, now: float) -> float:
        """How long the oldest has been seen waiting."""
        return now - self._looks[0][0] if self._looks else 0.0


class Rate:
    """Events a second, from looks at the number of the last one."""

    def __init__(self, over: float = RATE_OVER) -> None:
        self._over = over
        self._epoch: str | None = None
        self._looks: deque[tuple[float, int]] = deque()

    def note(self, at: float, epoch: str | None, seq: int) -> None:
        """At the time `at` the log of that life had come to `seq`."""
        if epoch != self._epoch:
            self._looks.clear()
            self._epoch = epoch
        # Of several hubs one is a little behind another.
        last = self._looks[-1][1] if self._looks else seq
        self._looks.append((at, max(seq, last)))
        while len(self._looks) > 2 and self._looks[1][0] <= at - self._over:
            self._looks.popleft()

    def per_second(self) -> float | None:
        """None before there are two looks."""
        if len(self._looks) < 2 or self._looks[-1][0] == self._looks[0][0]:
            return None
        (began, first), (ended, last) = self._looks[0], self._looks[-1]
        return (last - first) / (ended - began)


class Pulse:
    """Asks in the background, so that whatever hangs holds up nobody who looks. A context manager."""

    def __init__(self, stack: RunningStack) -> None:
        self.ended = threading.Event()
        """Set once the stack is gone, or its supervisor."""
        self.reason: str | None = None
        """Why the stack has ended; None if nobody said so."""
        self._stack = stack
        self._snapshot = stack.snapshot()
        self._cleaner = Cleaner.of_run(stack.folder, _secrets(stack.environment))
        self._lock = threading.Lock()
        self._waiting, self._rate = Waiting(), Rate()
        self._answers: dict[str, tuple[float, Health, int]] = {}
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        backends = [one for one in self._snapshot.resources if _is_backend(one)]
        threading.Thread(target=self._follow, name="pulse", daemon=True).start()
        for one in backends:
            threading.Thread(target=self._ask, args=(one.name, one.url), name=f"pulse {one.name}", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()

    def beat(self) -> Beat:
        """The stack now; waits for nobody."""
        now = time.monotonic()
        snapshot = self._snapshot
        with self._lock:
            answers = {
                name: (health, sockets)
                for name, (at, health, sockets) in self._answers.items()
                if now - at < ANSWER_WITHIN
            }
            told = any(health.answers for health, _ in answers.values())
            rate = self._rate.per_second() if told else None
            lag = (
                self._waiting.seconds(now)
                if any(health.checks.get("migrations") == "ok" for health, _ in answers.values())
                else None
            )
        return Beat(
            at=datetime.now(UTC),
            run=snapshot.run,
            phase=snapshot.phase,
            rows=tuple(self._row(status, answers) for status in snapshot.resources),
            events_per_second=rate,
            sockets=sum(sockets for _, sockets in answers.values()) if told else None,
            lag=lag,
        )

    def _row(self, status: ResourceStatus, answers: Mapping[str, tuple[Health, int]]) -> Row:
        health = None
        if _is_backend(status) and status.state == "ready":
            health = answers.get(status.name, (Health(answers=False), 0))[0]
        line = next((one for one in reversed(tail(Path(status.log), 3)) if one.strip()), "")
        return Row(
            status=status,
            uptime=_uptime(status),
            line=self._cleaner.text(line.strip(), limit=_LINE),
            health=health,
        )

    def _follow(self) -> None:
        try:
            for snapshot in self._stack.watch():
                self._snapshot = snapshot
                if snapshot.phase == "ending":
                    self.reason = snapshot.reason
        except (SupervisorGone, SupervisorSilent):
            # Also that is an end; the reason stays unknown.
            pass
        finally:
            self.ended.set()

    def _ask(self, name: str, url: str) -> None:
        with httpx.Client(base_url=url, timeout=ANSWER_WITHIN, trust_env=False) as client:
            while not self._closed.is_set():
                with suppress(httpx.HTTPError, ValueError, KeyError, TypeError):
                    began = time.monotonic()
                    alive = client.get("/healthz").json()
                    ready = client.get("/readyz")
                    self._note(name, began, alive, ready.json(), ready=ready.status_code == 200)
                self._closed.wait(ASK_EVERY)

    def _note(self, name: str, at: float, alive: dict[str, Any], told: dict[str, Any], *, ready: bool) -> None:
        live, outbox = alive["live"], told.get("outbox")
        checks = {check: self._cleaner.text(state) for check, state in told["checks"].items()}
        with self._lock:
            self._answers[name] = (at, Health(answers=True, ready=ready, checks=checks), int(live["sockets"]))
            if live["seq"] is not None:
                self._rate.note(at, live.get("epoch"), int(live["seq"]))
            if outbox is not None:
                self._waiting.note(at, live.get("epoch"), outbox["oldest"], outbox["newest"])


def _is_backend(status: ResourceStatus) -> bool:
    kind = status.name.partition("-")[0]
    return kind == "backend" and (status.url or "").startswith("http")


def _uptime(status: ResourceStatus) -> float | None:
    if status.pid is None:
        return None
    try:
        return max(0.0, time.time() - psutil.Process(status.pid).create_time())
    except psutil.Error:
        return None


def _secrets(environment: Mapping[str, str]) -> list[str]:
    """What no log line may show: keys, and the passwords in addresses."""
    passwords = [urlsplit(environment.get(name, "")).password for name in ("DATABASE_URL", "REDIS_URL")]
    return [one for one in (environment.get("SECRET_KEY"), *passwords) if one]
