"""Old events go: without a gap, without holding anybody up, and whoever needed them gets a snapshot."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from threading import Event as Flag
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from pytest_django import Settings

from stack.accounts.models import User
from stack.chat.models import Chat
from stack.config.tests.test_live_hub import head, join, play, relay, rename, running, who
from stack.live import retention
from stack.live.db import readers
from stack.live.models import Event, ScopeHead
from stack.live.relay import Relay, State
from stack.live.retention import Retention, delete_chunk
from stack.live.snapshot import read_snapshot
from stack.live.testing import Store

pytestmark = pytest.mark.usefixtures("transactional_db")

KEEP = 3600.0
WITHIN = 10


def age(*, until: int, seconds: float = 2 * KEEP) -> None:
    """Make the events up to a seq look that old."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE live_event SET at = now() - make_interval(secs => %s) WHERE seq <= %s", [seconds, until])


def make_events(count: int, *, old: int) -> Chat:
    """A chat that was renamed again and again; the oldest few of these events are old."""
    chat = Chat.objects.create(title="0")
    relay(lead=True)
    rename(chat, count - 1)
    first = Event.objects.order_by("seq")[0].seq
    age(until=first + old - 1)
    return chat


def kept() -> list[int]:
    return list(Event.objects.order_by("seq").values_list("seq", flat=True))


class TestDeleting:
    def test_the_old_ones_go_and_where_their_scope_stood_stays(self) -> None:
        chat = make_events(10, old=4)
        before, at = kept(), head()
        assert delete_chunk(KEEP) == 4
        assert kept() == before[4:]
        assert delete_chunk(KEEP) == 0
        assert head() == at
        assert ScopeHead.objects.get(scope=f"chat:{chat.pk}").seq == at.seq

    def test_prev_is_true_though_nothing_is_left(self) -> None:
        chat = make_events(3, old=3)
        at = head()
        assert delete_chunk(KEEP) == 3
        Chat.objects.filter(pk=chat.pk).update(title="after all that")
        relay()
        event = Event.objects.get()
        assert (event.seq, event.prev) == (at.seq + 1, at.seq)

    def test_a_clock_that_was_set_back_makes_no_gap(self) -> None:
        """An event that looks old behind one that does not stays until that one goes."""
        make_events(6, old=2)
        seqs = kept()
        Event.objects.filter(seq__in=seqs[3:5]).update(at="2020-01-01T00:00Z")
        assert delete_chunk(KEEP) == 2
        assert kept() == seqs[2:]

    def test_in_chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "CHUNK", 3)
        make_events(10, old=8)
        seqs = kept()
        assert [delete_chunk(KEEP) for _ in range(4)] == [3, 3, 2, 0]
        assert kept() == seqs[8:]

    def test_two_at_once_leave_no_gap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "CHUNK", 5)

        def work() -> int:
            try:
                return sum(delete_chunk(KEEP) for _ in range(6))
            finally:
                connections.close_all()

        async def both() -> list[int]:
            return list(await asyncio.gather(asyncio.to_thread(work), asyncio.to_thread(work)))

        make_events(40, old=30)
        seqs = kept()
        assert sum(asyncio.run(both())) == 30
        assert kept() == seqs[30:]

    def test_no_transaction_is_left_open_by_whoever_is_frozen_there(self) -> None:
        make_events(5, old=3)
        assert delete_chunk(KEEP) == 3
        with another_session() as other:
            row = other.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
            ).fetchone()
        assert row == (0,)


def another_session() -> psycopg.Connection[tuple[Any, ...]]:
    parameters = connection.get_connection_params()
    return psycopg.connect(**{name: value for name, value in parameters.items() if name != "cursor_factory"})


def retaining(story: Callable[[Retention, asyncio.Event], Awaitable[None]], *, leads: bool = True) -> None:
    async def whole() -> None:
        quiet = asyncio.Event()
        made = Retention(keep=KEEP, leads=lambda: leads, quiet=quiet)
        made._pause = 0.01
        task = asyncio.create_task(made.run())
        try:
            await story(made, quiet)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    def look() -> None:
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, "not in time"
            time.sleep(0.01)

    await readers.run(look)


class TestWhen:
    def test_a_batch_goes_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_events(5, old=3)
        looked = Flag()

        async def story(_made: Retention, quiet: asyncio.Event) -> None:
            waiting = asyncio.Event()
            wait = quiet.wait

            async def observed() -> bool:
                waiting.set()
                return await wait()

            monkeypatch.setattr(quiet, "wait", observed)
            async with asyncio.timeout(WITHIN):
                await waiting.wait()
            assert len(await readers.run(kept)) == 5
            assert not looked.is_set()
            quiet.set()
            await until(lambda: len(kept()) == 2)

        whole = delete_chunk

        def observed(keep: float) -> int:
            looked.set()
            return whole(keep)

        monkeypatch.setattr(retention, "delete_chunk", observed)
        retaining(story)

    def test_without_a_pause_between_batches_the_log_does_not_grow_for_ever(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "_PATIENCE", 0.05)
        make_events(5, old=3)

        async def story(_made: Retention, _quiet: asyncio.Event) -> None:
            await until(lambda: len(kept()) == 2)

        retaining(story)

    def test_a_standby_deletes_nothing(self) -> None:
        make_events(5, old=3)
        asked: list[int] = []

        def leads() -> bool:
            asked.append(1)
            return False

        async def story(made: Retention, quiet: asyncio.Event) -> None:
            made._leads = leads
            quiet.set()
            await until(lambda: len(asked) > 5)
            assert len(await readers.run(kept)) == 5

        retaining(story)

    def test_a_database_that_refuses_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_events(5, old=3)
        whole, calls = delete_chunk, []

        def fails_once(keep: float) -> int:
            calls.append(keep)
            if len(calls) == 1:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 / 0")
            return whole(keep)

        monkeypatch.setattr(retention, "delete_chunk", fails_once)

        async def story(_made: Retention, quiet: asyncio.Event) -> None:
            quiet.set()
            await until(lambda: len(kept()) == 2)

        retaining(story)
        assert len(calls) > 1


def test_a_deletion_that_hangs_holds_up_no_batch(settings: Settings) -> None:
    """The real relay: while its deletion waits for somebody's lock, changes become events."""
    settings.LIVE_RETENTION = 1
    chat = make_events(5, old=3)
    oldest = kept()[0]

    def hangs() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND query LIKE '%%DELETE FROM live_event%%' AND pid <> pg_backend_pid()"
            )
            return bool(cursor.fetchone()[0])

    def rename_to(title: str) -> None:
        Chat.objects.filter(pk=chat.pk).update(title=title)

    def told(title: str) -> bool:
        return any(json.loads(e.ops)[0]["data"]["title"] == title for e in Event.objects.all())

    async def story() -> None:
        leading = asyncio.Event()
        made = Relay(on_state=lambda s: leading.set() if s is State.LEADING else None)
        with another_session() as holder:
            holder.execute("SELECT FROM live_event WHERE seq = %s FOR UPDATE", [oldest])
            working = asyncio.create_task(made.run())
            try:
                async with asyncio.timeout(WITHIN):
                    await leading.wait()
                await until(hangs)
                for number in range(3):
                    await readers.run(rename_to, f"meanwhile {number}")
                    await until(partial(told, f"meanwhile {number}"))
                assert await readers.run(hangs), "it did not hang all the time: this proves nothing"
                assert oldest in await readers.run(kept)
                holder.rollback()
                await until(lambda: oldest not in kept())
            finally:
                holder.rollback()
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
                await made._thread.run(connections.close_all)

    asyncio.run(story())


def test_a_cursor_older_than_what_is_kept_gets_a_snapshot(live_store: Callable[[], Store]) -> None:
    def forget(chat: Chat) -> int:
        rename(chat, 6)
        age(until=head().seq - 2)
        return delete_chunk(KEEP)

    async def story(anna: User, chat: Chat) -> None:
        old = await readers.run(head)
        assert await readers.run(forget, chat) > 3
        still = await readers.run(lambda: type(old)(old.epoch, kept()[0] - 1))
        async with running() as hub:
            identity = await readers.run(who, anna)
            wire, _ = await join(hub, identity, old)
            assert [f["type"] for f in wire.frames] == ["welcome", "snapshot", "heartbeat"]
            store = live_store()
            store.orders = wire.frames[0]["orders"]
            store.apply_snapshot(wire.frames[1])
            fresh = live_store()
            fresh.orders = store.orders
            fresh.apply_snapshot(await readers.run(read_snapshot, identity.user))
            assert store.canonical() == fresh.canonical()
            wire, _ = await join(hub, identity, still)
            assert wire.frames[0]["resumed"]
            assert wire.seqs() == [still.seq + 1, still.seq + 2]

    play(story)


def test_a_hub_behind_what_is_kept_lets_its_clients_resume() -> None:
    def forget(chat: Chat) -> None:
        rename(chat, 5)
        age(until=head().seq - 1)
        assert delete_chunk(KEEP) > 4

    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            identity = await readers.run(who, anna)
            wire, _ = await join(hub, identity, None)
            cursor = hub.position
            for task in hub._tasks:
                task.cancel()
            await asyncio.gather(*hub._tasks, return_exceptions=True)
            await readers.run(forget, chat)
            await hub._catch_up()
            await wire.until(lambda: wire.code is not None)
            assert wire.code == 4409
            assert hub.position == await readers.run(head)
            assert wire.seqs() == []
            wire, _ = await join(hub, await readers.run(who, anna), cursor)
            assert not wire.frames[0]["resumed"]
            window = wire.frames[1]["scopes"][f"chat:{chat.pk}"]
            assert window["entities"]["chat"][0]["title"] == "4 of 5"

    play(story)
