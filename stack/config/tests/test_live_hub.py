"""The hub with real Postgres and Redis, and sockets that write into lists."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from stack.accounts.models import Profile, User
from stack.accounts.sessions import SessionStore
from stack.chat.models import Chat, ChatMember
from stack.live import hub as hubs
from stack.live import log, memberships
from stack.live.batch import run_batch
from stack.live.connection import MOST_PENDING, Connection
from stack.live.db import readers, urgent
from stack.live.frames import Close
from stack.live.hub import Hub
from stack.live.identity import Identity, identify
from stack.live.log import Position
from stack.live.relay import schema_hash
from stack.live.tests.wire import Wire

pytestmark = pytest.mark.usefixtures("transactional_db")


def make_people() -> tuple[User, Chat]:
    anna = User.objects.create(username="anna")
    Profile.objects.create(user=anna)
    chat = Chat.objects.create(title="0")
    ChatMember.objects.create(chat=chat, user=anna)
    return anna, chat


def relay(*, lead: bool = False) -> None:
    with connection.cursor() as cursor:
        reads = memberships.tables_read(cursor)
    if lead:
        run_batch(reads, schema_hash=schema_hash())
    while run_batch(reads) is not None:
        pass


def rename(chat: Chat, times: int) -> None:
    for number in range(times):
        Chat.objects.filter(pk=chat.pk).update(title=f"{number} of {times}")
        relay()


def sign_in(user: User) -> str:
    """A new session's key."""
    store = SessionStore()
    store["_auth_user_id"] = str(user.pk)
    store["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    store["_auth_user_hash"] = user.get_session_auth_hash()
    store.create()
    assert store.session_key is not None
    return store.session_key


def who(user: User) -> Identity:
    key = sign_in(user)
    return identify([key])[key]


@asynccontextmanager
async def running(*, ring: int = 5000) -> AsyncIterator[Hub]:
    hub = Hub(ring=ring)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


async def join(hub: Hub, identity: Identity, cursor: Position | None) -> tuple[Wire, Connection]:
    wire = Wire()
    socket = Connection(
        wire.send, user=identity.user, session=identity.session, expires=identity.expires, abort=wire.abort
    )
    await hub.join(socket, identity, cursor)
    await wire.caught_up()
    return wire, socket


def play(story: Callable[[User, Chat], Awaitable[None]]) -> None:
    async def whole() -> None:
        anna, chat = await readers.run(make_people)
        await readers.run(relay, lead=True)
        await story(anna, chat)

    asyncio.run(whole())


def head() -> Position:
    with connection.cursor() as cursor:
        return log.read_head(cursor)


def test_without_a_cursor_there_is_a_snapshot_then_events() -> None:
    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), None)
            assert [f["type"] for f in wire.frames] == ["welcome", "snapshot", "heartbeat"]
            assert f"chat:{chat.pk}" in wire.frames[1]["scopes"]
            await readers.run(rename, chat, 1)
            await wire.until(lambda: bool(wire.seqs()))
            assert wire.frames[-1]["ops"][0]["data"]["title"] == "0 of 1"

    play(story)


@pytest.mark.parametrize("ring", [5000, 3])
def test_a_cursor_gets_what_it_missed_from_the_ring_or_the_log(ring: int) -> None:
    async def story(anna: User, chat: Chat) -> None:
        cursor = await readers.run(head)
        await readers.run(rename, chat, 10)
        async with running(ring=ring) as hub:
            wire, _ = await join(hub, await readers.run(who, anna), cursor)
            assert wire.frames[0]["resumed"]
            assert wire.seqs() == list(range(cursor.seq + 1, cursor.seq + 11))

    play(story)


@pytest.mark.parametrize("forged", [Position("other", 1), Position("", 0)])
def test_a_cursor_of_another_epoch_gets_a_snapshot(forged: Position) -> None:
    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), forged)
            assert [f["type"] for f in wire.frames] == ["welcome", "snapshot", "heartbeat"]

    play(story)


@pytest.mark.parametrize("beyond", [1, 2**40])
def test_a_cursor_beyond_the_head_gets_a_snapshot(beyond: int) -> None:
    async def story(anna: User, chat: Chat) -> None:
        known = await readers.run(head)
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), Position(known.epoch, known.seq + beyond))
            assert not wire.frames[0]["resumed"]

    play(story)


def test_a_cursor_whose_events_are_gone_gets_a_snapshot() -> None:
    async def story(anna: User, chat: Chat) -> None:
        cursor = await readers.run(head)
        await readers.run(rename, chat, 10)

        def retention() -> None:
            with connection.cursor() as c:
                c.execute("DELETE FROM live_event WHERE seq <= %s", [cursor.seq + 5])

        await readers.run(retention)
        async with running(ring=3) as hub:
            wire, _ = await join(hub, await readers.run(who, anna), cursor)
            assert not wire.frames[0]["resumed"]

    play(story)


def test_events_from_before_the_last_enter_are_not_sent_again() -> None:
    async def story(anna: User, chat: Chat) -> None:
        cursor = await readers.run(head)

        def leave_write_return() -> None:
            ChatMember.objects.filter(user=anna).delete()
            relay()
            Chat.objects.filter(pk=chat.pk).update(title="while away")
            relay()
            ChatMember.objects.create(chat=chat, user=anna)
            relay()
            Chat.objects.filter(pk=chat.pk).update(title="back")
            relay()

        await readers.run(leave_write_return)
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), cursor)
            titles = [
                op["data"]["title"]
                for frame in wire.frames
                if frame["type"] == "event" and frame["scope"] == f"chat:{chat.pk}"
                for op in frame["ops"]
                if op["type"] == "chat"
            ]
            assert titles == ["back"]

    play(story)


def test_a_window_of_a_scope_that_was_lost_meanwhile_is_withheld() -> None:
    async def story(anna: User, chat: Chat) -> None:
        cursor = await readers.run(head)

        def added_and_removed() -> None:
            ben = User.objects.create(username="ben")
            Profile.objects.create(user=ben)
            ChatMember.objects.create(chat=chat, user=ben)
            relay()
            secret = Chat.objects.create(title="secret")
            member = ChatMember.objects.create(chat=secret, user=anna)
            relay()
            member.delete()
            relay()

        await readers.run(added_and_removed)
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), cursor)
            assert wire.frames[0]["resumed"]
            assert "secret" not in json.dumps(wire.frames)
            assert any(op["op"] == "enter" for f in wire.frames if f["type"] == "event" for op in f["ops"])

    play(story)


def test_what_is_lost_between_signing_in_and_joining_is_not_followed() -> None:
    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            identity = await readers.run(who, anna)
            scope = f"chat:{chat.pk}"
            assert scope in identity.scopes

            def removed() -> None:
                ChatMember.objects.filter(chat=chat, user=anna).delete()
                relay()

            await readers.run(removed)
            # The first one's snapshot takes the hub past the loss, behind which the second one's cursor lies.
            for cursor in (None, identity.at):
                wire, socket = await join(hub, identity, cursor)
                assert wire.frames[0]["resumed"] is (cursor is not None)
                assert scope not in socket.scopes
                assert not hub.roster.holders(scope)

    play(story)


def test_a_session_that_runs_out_closes_its_socket() -> None:
    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            identity = await readers.run(who, anna)
            wire, _ = await join(hub, identity, None)
            hub.roster.close_overdue(identity.expires - 1)
            assert wire.code is None
            hub.roster.close_overdue(identity.expires)
            await wire.until(lambda: wire.code is not None)
            # It may last longer by now: who is signed out is told so at the next handshake.
            assert wire.code == Close.RESUME

    play(story)


def test_a_lost_batch_is_found_by_the_poll() -> None:
    """Batches made without a relay's message reach the sockets within the poll's second."""

    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), None)
            await readers.run(rename, chat, 3)
            await wire.until(lambda: len(wire.seqs()) == 3)

    play(story)


def test_another_epoch_closes_every_socket_to_resume() -> None:
    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), None)

            def restore() -> None:
                with connection.cursor() as c:
                    log.begin_new_life(c)

            await readers.run(restore)
            await wire.until(lambda: wire.code is not None)
            assert wire.code == Close.RESUME

    play(story)


def test_a_client_that_does_not_read_is_closed_and_harms_nobody() -> None:
    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            slow, _ = await join(hub, await readers.run(who, anna), None)
            quick, _ = await join(hub, await readers.run(who, anna), None)
            slow.blocked = asyncio.Event()
            before = len(slow.frames)
            text = json.dumps({"type": "event", "seq": 0, "filler": "x" * 64 * 1024})
            for _ in range(2 * MOST_PENDING // len(text)):
                read = len(quick.frames)
                hub.roster.push_to_all(text)
                await quick.has(read + 1)
            await readers.run(rename, chat, 1)
            await quick.until(lambda: len(quick.frames) > 1 and "prev" in quick.frames[-1])
            slow.blocked.set()
            await slow.until(lambda: slow.code is not None)
            assert slow.code == Close.TOO_SLOW
            assert len(slow.frames) <= before + 2

    play(story)


def test_a_socket_that_left_leaves_nothing_behind() -> None:
    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            _, socket = await join(hub, await readers.run(who, anna), None)
            assert len(hub.roster) == 1
            hub.roster.remove(socket)
            socket.discard()
            assert len(hub.roster) == 0
            assert not hub.roster._by_scope

    play(story)


class TestIdentity:
    def test_many_handshakes_cost_the_queries_of_one(self, django_assert_max_num_queries: Any) -> None:
        people = [User.objects.create(username=f"user {n}") for n in range(20)]
        keys = []
        for user in people:
            store = SessionStore()
            store["_auth_user_id"] = str(user.pk)
            store["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
            store["_auth_user_hash"] = user.get_session_auth_hash()
            store.create()
            keys.append(str(store.session_key))
        with django_assert_max_num_queries(7):
            assert len(identify(keys)) == 20

    @pytest.mark.parametrize("spoil", ["is_active", "password", "expired", "forged"])
    def test_who_is_not_signed_in_is_nobody(self, spoil: str) -> None:
        anna = User.objects.create(username="anna", password="one")
        store = SessionStore()
        store["_auth_user_id"] = str(anna.pk)
        store["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
        store["_auth_user_hash"] = "x" if spoil == "forged" else anna.get_session_auth_hash()
        store.create()
        assert store.session_key is not None
        if spoil == "is_active":
            User.objects.update(is_active=False)
        elif spoil == "password":
            User.objects.update(password="two")
        elif spoil == "expired":
            store.model.objects.update(expire_date="2000-01-01T00:00Z")
        assert identify([store.session_key]) == {}

    @pytest.mark.parametrize("wrong_by", [timedelta(days=400), timedelta(days=-400)])
    def test_the_clock_of_the_process_does_not_count(
        self, wrong_by: timedelta, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether and for how long somebody is signed in is Postgres' to say."""
        anna = User.objects.create(username="anna")
        lasting, over = (SessionStore() for _ in range(2))
        for store, ends in ((lasting, "now() + interval '1 hour'"), (over, "now() - interval '1 second'")):
            store["_auth_user_id"] = str(anna.pk)
            store["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
            store["_auth_user_hash"] = anna.get_session_auth_hash()
            store.create()
            table = connection.ops.quote_name(store.model._meta.db_table)
            with connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE {table} SET expire_date = {ends} WHERE session_key = %s",
                    [store.session_key],
                )
        now, wall = timezone.now(), time.time()
        monkeypatch.setattr(timezone, "now", lambda: now + wrong_by)
        monkeypatch.setattr(time, "time", lambda: wall + wrong_by.total_seconds())
        keys = [str(lasting.session_key), str(over.session_key)]
        found = identify(keys)
        assert list(found) == keys[:1]
        assert found[keys[0]].expires - time.monotonic() == pytest.approx(3600, abs=10)


def test_background_threads_remember_no_queries(settings: Any) -> None:
    """Django notes every query while it debugs; in a process without requests nobody would ever forget them."""
    settings.DEBUG = True

    async def story() -> None:
        for _ in range(3):
            await urgent.run(head)
        assert await urgent.run(lambda: len(connection.queries_log)) == 0

    asyncio.run(story())


def test_who_is_far_behind_reads_on_in_bounded_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_BYTES_AT_ONCE", 600)

    async def story(_anna: User, chat: Chat) -> None:
        known = await readers.run(head)
        await readers.run(rename, chat, 10)
        at, entries = await readers.run(hubs._read_log, known, 5000)
        assert at.seq == known.seq + 10
        assert 1 < len(entries) < 10
        assert sum(len(entry.ops) for entry in entries) <= 600
        assert entries[0].seq == known.seq + 1
        monkeypatch.setattr(hubs, "_BYTES_AT_ONCE", 1)
        _, entries = await readers.run(hubs._read_log, known, 5000)
        assert [entry.seq for entry in entries] == [known.seq + 1]

    play(story)
