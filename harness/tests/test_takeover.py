"""A leading relay that dies, freezes anywhere, or comes back; and two that both believe to lead."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Any

import psycopg
import pytest

from harness.folders import CHECKOUT
from harness.stack import RunningStack, StackOptions, start_stack
from harness.stack.environment import process_environment
from harness.tests.conftest import folders_below
from harness.tests.helpers import eventually
from harness.tests.traffic import Device, Traffic, converges, head, leader

KINDS = frozenset({"postgres", "redis", "prepare", "backend", "relay"})
TAKEN_OVER_WITHIN = 10.0
"""Two seconds where nothing else needs the machine, which is told, not asserted."""
GOES_ON_WITHIN = 30.0
CONVERGES_WITHIN = 30.0

# It takes the lead whoever else has it, and says how many events it made.
RIVAL = """
import asyncio, signal
import django
django.setup()
from stack.live.relay import Relay

class Rival(Relay):
    events = 0

    def _try_to_lead(self):
        return True

    async def _send(self, batch):
        if batch.entries:
            self.events += len(batch.entries)
            print(self.events, flush=True)
        await super()._send(batch)

async def main():
    task = asyncio.create_task(Rival().run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
"""


def ask(stack: RunningStack, query: str, *parameters: Any) -> Any:
    with psycopg.connect(stack.direct["DATABASE_URL"], autocommit=True) as database:
        row = database.execute(query.encode(), parameters).fetchone()
    return row[0] if row else None


def leads(stack: RunningStack) -> str | None:
    """Who holds the lock of the lead."""
    name: str | None = ask(
        stack,
        "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
        " AND l.objid = (x'4C495645')::bit(32)::int::oid",
    )
    return name


def until_another_leads(stack: RunningStack, old: str) -> float:
    """After how many seconds another relay makes events."""
    began = time.monotonic()
    eventually(lambda: leads(stack) not in (None, old), within=TAKEN_OVER_WITHIN, what=f"{old} is replaced")
    took = time.monotonic() - began
    before = head(stack)
    eventually(lambda: head(stack) > before, within=TAKEN_OVER_WITHIN, what="the new leader makes events")
    return took


@contextmanager
def blocked_in_its_transaction(stack: RunningStack, name: str) -> Iterator[None]:
    """The relay waits in the middle of a batch, where it holds the head's lock; it goes on at the end."""
    with psycopg.connect(stack.direct["DATABASE_URL"]) as database:
        database.execute("LOCK TABLE live_event IN SHARE MODE")

        def waits() -> Any:
            return ask(
                stack,
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'",
                name,
            )

        eventually(waits, within=GOES_ON_WITHIN, what=f"{name} is in the middle of a batch")
        with (
            psycopg.connect(stack.direct["DATABASE_URL"]) as other,
            pytest.raises(psycopg.errors.LockNotAvailable),
        ):
            other.execute("SELECT FROM live_head FOR UPDATE NOWAIT")
        yield


# Without a renderer, which takes no part in this.
@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    options = StackOptions(services="embedded", scale={"backend": 2, "relay": 2}, resources=KINDS)
    with start_stack(options, folders=folders_below(tmp_path_factory.mktemp("takeover"))) as running:
        yield running


WAYS = ("killed", "frozen", "frozen in its transaction")


@pytest.mark.parametrize("how", [*(pytest.param(way, marks=pytest.mark.heavy) for way in WAYS[:-1]), WAYS[-1]])
def test_a_leader_that_stops_is_replaced_under_traffic(
    stack: RunningStack, devices: list[Device], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Traffic(stack, devices, seed=len(how) + 100 * WAYS.index(how)) as traffic:
        traffic.goes_on(by=10, within=GOES_ON_WITHIN, what="before")
        old = leader(stack)
        eventually(lambda: leads(stack) == old, within=GOES_ON_WITHIN, what=f"{old} leads")
        try:
            if how == "killed":
                stack.kill(old, SIGKILL)
            elif how == "frozen":
                stack.kill(old, SIGSTOP)
            else:
                with blocked_in_its_transaction(stack, old):
                    stack.kill(old, SIGSTOP)
            took = until_another_leads(stack, old)
            traffic.goes_on(by=10, within=GOES_ON_WITHIN, what="with the new leader")
            traffic.reaches(devices[1], within=GOES_ON_WITHIN)
        finally:
            stack.start(old) if how == "killed" else stack.kill(old, SIGCONT)
        # Who was replaced and goes on finds that out, and harms nothing.
        traffic.goes_on(by=20, within=GOES_ON_WITHIN, what="after the old one is back")
        eventually(lambda: leads(stack) == leader(stack), within=GOES_ON_WITHIN, what="one of them leads")
    converges(stack, traffic, within=CONVERGES_WITHIN)
    assert gapless(stack)
    with capsys.disabled():
        print(f"\n{old} {how}: replaced after {took:.2f} s")


def gapless(stack: RunningStack) -> bool:
    """Whether the log has every number once and each scope's events are linked."""
    return bool(
        ask(
            stack,
            "SELECT bool_and(whole AND linked) FROM (SELECT"
            " coalesce(seq = lag(seq) OVER (ORDER BY seq) + 1, true) AS whole,"
            " coalesce(prev = lag(seq) OVER (PARTITION BY scope ORDER BY seq), true) AS linked FROM live_event) e",
        )
    )


def test_two_that_both_lead_lose_and_repeat_nothing(stack: RunningStack, devices: list[Device]) -> None:
    told: list[int] = []
    before = head(stack)
    rival = subprocess.Popen(
        [sys.executable, "-u", "-c", RIVAL],
        cwd=CHECKOUT,
        env=process_environment({**stack.environment, "PGAPPNAME": "rival"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert rival.stdout is not None
    try:
        with Traffic(stack, devices, seed=2) as traffic:
            assert rival.stdout.readline().strip().isdigit(), "the rival makes no events"
            assert leads(stack) not in (None, "rival")
            traffic.goes_on(by=30, within=GOES_ON_WITHIN, what="with two leaders")
            # It stands still for longer than the patience of a standby, and then goes on as if nothing had been.
            rival.send_signal(SIGSTOP)
            traffic.goes_on(by=30, within=GOES_ON_WITHIN, what="with one of them frozen")
            stuck = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rival' AND state LIKE 'idle in %%'"
            eventually(lambda: not ask(stack, stuck), within=TAKEN_OVER_WITHIN, what="it holds no lock")
            rival.send_signal(SIGCONT)
            traffic.goes_on(by=30, within=GOES_ON_WITHIN, what="with both again")
            rival.send_signal(SIGTERM)
            told = [int(line) for line in rival.stdout]
            assert rival.wait(GOES_ON_WITHIN) == 0
            # The other one works again as if it had been alone.
            traffic.goes_on(by=10, within=GOES_ON_WITHIN, what="with one of them")
        converges(stack, traffic, within=CONVERGES_WITHIN)
    finally:
        rival.kill()
        rival.wait()
        rival.stdout.close()
    assert told[-1] > 10, "the rival has hardly worked: this proves nothing"
    assert head(stack) - before > told[-1] + 10, "the other one has hardly worked: this proves nothing"
    assert gapless(stack)
