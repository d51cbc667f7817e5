"""50,000 rows changed in one statement: what other people's events wait for, and what the relay's memory grows by."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psycopg
import pytest

from harness.live import LiveStore
from harness.stack import RunningStack, StackOptions, start_stack
from harness.tests.conftest import folders_below
from harness.tests.helpers import eventually
from harness.tests.traffic import Device, devices_of, leader, people

pytestmark = pytest.mark.heavy

ROWS = 50_000
MOST_DELAY = 1.0
"""Seconds that somebody else's small change may take meanwhile."""
MOST_GROWTH_MIB = 64
TOLD_WITHIN = 120.0
QUIET = 20
KINDS = frozenset({"postgres", "redis", "prepare", "backend", "relay"})

# Two in each chat: everybody sees two profiles, so that there are as many pairs to compare as rows.
PEOPLE = f"""
    INSERT INTO accounts_user (username, password, email, is_staff, is_active, is_superuser, date_joined)
        SELECT 'crowd ' || n, '!', '', false, true, false, now() FROM generate_series(1, {ROWS}) n;
    INSERT INTO accounts_profile (user_id, first_name, last_name, bio)
        SELECT id, username, '', '' FROM accounts_user WHERE username LIKE 'crowd %';
    INSERT INTO chat_chat (title) SELECT 'crowd' FROM generate_series(1, {ROWS // 2});
"""
MEMBERS = """
    INSERT INTO chat_chatmember (chat_id, user_id, role)
    SELECT c.id, u.id, 'member'
    FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM accounts_user WHERE username LIKE 'crowd %') u
    JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM chat_chat WHERE title = 'crowd') c ON c.n = u.n / 2
"""
CROWDED = "(SELECT id FROM chat_chat WHERE title = 'crowd')"
CHANGES = {
    "many scopes": "UPDATE accounts_profile SET bio = 'all of us' WHERE first_name LIKE 'crowd %'",
    "one scope": "UPDATE chat_message SET text = 'all of them'",
    "rows of a table that memberships read": f"UPDATE chat_chatmember SET role = 'owner' WHERE chat_id IN {CROWDED}",
    "columns that memberships read": f"""
        CREATE TEMPORARY TABLE same AS SELECT * FROM chat_chatmember WHERE chat_id IN {CROWDED} LIMIT {ROWS // 2};
        DELETE FROM chat_chatmember WHERE id IN (SELECT id FROM same);
        INSERT INTO chat_chatmember SELECT * FROM same;
    """,
    # Of the first, everybody is told; the second begins a new life.
    "some sign-in state": "UPDATE accounts_user SET password = '?'"
    " WHERE id IN (SELECT id FROM accounts_user WHERE username LIKE 'crowd %' ORDER BY id LIMIT 9000)",
    "sign-in state": "UPDATE accounts_user SET password = '?' WHERE username LIKE 'crowd %'",
}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    options = StackOptions(services="embedded", scale={"relay": 2}, resources=KINDS)
    with start_stack(options, folders=folders_below(tmp_path_factory.mktemp("huge"))) as stack:
        for name in ("relay-1", "relay-2"):
            stack.stop_resource(name)
        execute(
            stack,
            PEOPLE,
            MEMBERS,
            "INSERT INTO chat_message (chat_id, sender_id, client_id, number, text)"
            f" SELECT (SELECT min(id) FROM chat_chat WHERE title = 'crowd'), (SELECT min(id) FROM accounts_user),"
            f" gen_random_uuid(), n, 'hello' FROM generate_series(1, {ROWS}) n",
            "ANALYZE",
        )
        # Nobody needs to be told of these.
        made = stack.manage("live", "start-over")
        assert made.returncode == 0, made.stderr
        for name in ("relay-1", "relay-2"):
            stack.start(name)
        yield stack


def execute(stack: RunningStack, *statements: str) -> None:
    with psycopg.connect(stack.direct["DATABASE_URL"]) as database:
        for statement in statements:
            database.execute(statement.encode())


def until_told(stack: RunningStack) -> None:
    def nothing_waits() -> bool:
        with psycopg.connect(stack.direct["DATABASE_URL"]) as database:
            return not (database.execute("SELECT EXISTS (SELECT FROM live_outbox)").fetchone() or [True])[0]

    eventually(nothing_waits, within=TOLD_WITHIN, what="everything is told")


def peak_mib(pid: int) -> float:
    """The most memory that a process has ever had in use."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no peak is told")


@contextmanager
def measured_delays(stack: RunningStack, device: Device) -> Iterator[list[float]]:
    """Small changes of somebody else all the time: seconds from the return of each commit to that person's client."""
    chat = int(device.http.json("POST", "/api/chats", {"title": "mine", "members": []})["id"])
    delays: list[float] = []
    over, first = threading.Event(), threading.Event()

    def change() -> None:
        number = 0
        with psycopg.connect(stack.direct["DATABASE_URL"], autocommit=True) as database:
            while not over.is_set():
                number += 1
                title = f"change {number}"
                database.execute("UPDATE chat_chat SET title = %s WHERE id = %s", [title, chat])
                began = time.monotonic()

                def arrived(store: LiveStore, title: str = title) -> bool:
                    return (store.entity("chat", chat) or {}).get("title") == title

                assert device.live.wait(arrived, within=TOLD_WITHIN)
                delays.append(time.monotonic() - began)
                first.set()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(change)
        try:
            assert first.wait(TOLD_WITHIN)
            yield delays
        finally:
            over.set()
            working.result(TOLD_WITHIN)


@pytest.mark.parametrize("change", CHANGES)
def test_others_wait_for_a_second_at_most_and_memory_is_bounded(
    crowded: RunningStack, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pid = crowded.resource(leader(crowded)).pid
    assert pid is not None
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = peak_mib(pid)
    with devices_of(crowded, people(crowded, 1)) as (device,):
        with measured_delays(crowded, device) as delays:
            eventually(lambda: len(delays) >= QUIET, within=TOLD_WITHIN, what="it is known what a change takes")
            seen = len(delays)
            began = time.monotonic()
            execute(crowded, CHANGES[change])
            committed = time.monotonic() - began
            until_told(crowded)
            told = time.monotonic() - began
        assert device.equals_a_fresh_snapshot(within=10)
    growth = peak_mib(pid) - before
    worst = max(delays[seen:])
    with capsys.disabled():
        print(
            f"\n{change}: committed after {committed:.2f} s, all told after {told:.2f} s; others waited {worst:.2f} s "
            f"at most ({median(delays[:seen]):.3f} s before it) in {len(delays) - seen} changes; "
            f"the relay's {before:.0f} MiB grew by {growth:.1f} MiB"
        )
    assert crowded.resource(leader(crowded)).pid == pid
    assert worst <= MOST_DELAY
    assert growth <= MOST_GROWTH_MIB


def test_more_memberships_than_can_be_told_have_everybody_resume(
    crowded: RunningStack, capsys: pytest.CaptureFixture[str]
) -> None:
    pid = crowded.resource(leader(crowded)).pid
    assert pid is not None
    before = peak_mib(pid)
    with devices_of(crowded, people(crowded, 1)) as (device,):
        epoch = device.live.read(lambda store: store.epoch)
        with measured_delays(crowded, device) as delays:
            began = time.monotonic()
            execute(crowded, f"DELETE FROM chat_chatmember WHERE chat_id IN {CROWDED}")
            until_told(crowded)
            told = time.monotonic() - began
        assert device.live.wait(lambda store: store.epoch != epoch, within=TOLD_WITHIN)
        assert device.equals_a_fresh_snapshot(within=10)
    with capsys.disabled():
        print(f"\nall told after {told:.2f} s; others waited {max(delays):.2f} s, back with a snapshot")
    assert peak_mib(pid) - before <= MOST_GROWTH_MIB
