"""A log that begins anew, the probe, and who learns of another epoch."""

from __future__ import annotations

import asyncio
from io import StringIO

import pytest
from channels.layers import get_channel_layer
from django.core.management import call_command
from django.db import connection, connections, transaction

from stack.accounts.models import Profile, User
from stack.chat.models import Chat, ChatMember
from stack.live import hub as hubs
from stack.live import installing, log, memberships, probe
from stack.live import socket as sockets
from stack.live.batch import run_batch
from stack.live.db import readers
from stack.live.frames import Load, Page
from stack.live.hub import Hub, NotReady
from stack.live.identity import Identity
from stack.live.models import Event, MembershipRow, Outbox
from stack.live.relay import GROUP, Relay, State, schema_hash
from stack.live.renewal import start_over
from stack.live.snapshot import read_snapshot
from stack.live.socket import _answer

pytestmark = pytest.mark.usefixtures("transactional_db")


def make() -> tuple[int, int]:
    anna = User.objects.create(username="anna")
    Profile.objects.create(user=anna)
    chat = Chat.objects.create()
    ChatMember.objects.create(chat=chat, user=anna)
    return anna.pk, chat.pk


def head() -> log.Position:
    with connection.cursor() as cursor:
        return log.read_head(cursor)


def relay() -> None:
    with connection.cursor() as cursor:
        reads = memberships.tables_read(cursor)
    while run_batch(reads) is not None:
        pass


def probed(number: int) -> tuple[str, int] | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT epoch, seq FROM live_probed(%s)", [number])
        row = cursor.fetchone()
    return None if row is None else (row[0], row[1])


def start_probe() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT live_probe()")
        return int(cursor.fetchone()[0])


class TestStartOver:
    def test_nothing_waits_and_memberships_are_in_step(self) -> None:
        make()
        relay()
        old = head()
        anna, chat = User.objects.get().pk, Chat.objects.create().pk
        ChatMember.objects.create(chat_id=chat, user_id=anna)
        assert Outbox.objects.exists()
        assert start_over() == head()
        assert head().epoch != old.epoch
        assert head().seq == old.seq
        assert not Outbox.objects.exists()
        assert not Event.objects.exists()
        assert MembershipRow.objects.filter(scope=f"chat:{chat}", viewer=anna).exists()

    def test_what_comes_afterwards_is_told_with_the_right_prev(self) -> None:
        _, chat = make()
        relay()
        Chat.objects.filter(pk=chat).update(title="old")
        relay()
        last = Event.objects.filter(scope=f"chat:{chat}").latest("seq").seq
        start_over()
        Chat.objects.filter(pk=chat).update(title="new")
        relay()
        event = Event.objects.get()
        assert (event.scope, event.prev, event.seq) == (f"chat:{chat}", last, head().seq)

    def test_a_relay_that_takes_the_lead_begins_no_other_epoch(self) -> None:
        make()
        epoch = start_over().epoch
        with connection.cursor() as cursor:
            reads = memberships.tables_read(cursor)
        batch = run_batch(reads, schema_hash=schema_hash())
        assert batch is not None
        assert (batch.head.epoch, batch.entries) == (epoch, ())

    def test_the_command_tells_the_epoch(self) -> None:
        out = StringIO()
        call_command("live", "start-over", stdout=out)
        assert head().epoch in out.getvalue()


class TestProbe:
    def test_it_is_answered_once_it_is_an_event(self) -> None:
        make()
        relay()
        first = start_probe()
        assert probed(first) is None
        relay()
        assert probed(first) == (head().epoch, head().seq)
        second = start_probe()
        assert probed(second) is None
        relay()
        answer = probed(second)
        assert answer is not None
        assert answer[1] == Event.objects.filter(scope=probe.SCOPE).latest("seq").seq

    def test_a_missing_or_other_function_is_a_problem_and_is_mended(self) -> None:
        with connection.cursor() as cursor:
            assert installing.problems(cursor) == []
            cursor.execute("DROP FUNCTION live_probe()")
            cursor.execute("COMMENT ON FUNCTION live_probed(bigint) IS 'of yesterday'")
            assert installing.problems(cursor) == ["function live_probe is missing", "function live_probed is stale"]
            assert installing.install() == ["live_probe", "live_probed"]
            assert installing.problems(cursor) == []
        assert installing.install() == []


def test_taking_the_lead_is_told_though_nothing_changed() -> None:
    async def story() -> None:
        await readers.run(start_over)
        layer = get_channel_layer()
        assert layer is not None
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        leading = asyncio.Event()
        first = Relay(on_state=lambda s: leading.set() if s is State.LEADING else None)
        working = asyncio.create_task(first.run())
        try:
            async with asyncio.timeout(10):
                await leading.wait()
                message = await layer.receive(channel)
            at = await readers.run(head)
            assert (message["epoch"], message["seq"], message["events"]) == (at.epoch, at.seq, [])
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            # Its session would keep the database from being removed.
            await first._thread.run(connections.close_all)

    asyncio.run(story())


def identity(user: int, chat: int, at: log.Position) -> Identity:
    return Identity(user, "digest", 4e9, frozenset({f"chat:{chat}", f"user:{user}", "everyone"}), at, "key")


@pytest.mark.parametrize("request_", [Load(1, "everyone"), Page(1, "everyone", "message", (5, 5))])
def test_a_socket_of_another_epoch_gets_no_answer(request_: Load | Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "signed_in_by", lambda keys: keys)

    async def story() -> None:
        user, chat = await readers.run(make)
        before = await readers.run(start_over)
        assert await _answer(identity(user, chat, before), request_)
        await readers.run(start_over)
        with pytest.raises(NotReady):
            await _answer(identity(user, chat, before), request_)

    asyncio.run(story())


def test_a_handshake_that_meets_another_epoch_gets_no_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(user: int) -> object:
        start_over()
        return read_snapshot(user)

    async def story() -> None:
        user, chat = await readers.run(make)
        at = await readers.run(start_over)
        hub = Hub()
        await hub.start()
        try:
            monkeypatch.setattr(hubs, "read_snapshot", swapped)
            with pytest.raises(NotReady, match="another one"):
                await hub.join(None, identity(user, chat, at), None)  # type: ignore[arg-type]  # nobody to send to
        finally:
            await hub.stop()

    asyncio.run(story())


def test_a_handshake_that_meets_another_epoch_gets_no_missed_events(monkeypatch: pytest.MonkeyPatch) -> None:
    read_missed = hubs._read_missed

    def tell_three(chat: int) -> log.Position:
        for title in ("one", "two", "three"):
            Chat.objects.filter(pk=chat).update(title=title)
            relay()
        return head()

    def swapped(scopes: frozenset[str], since: log.Position, until: int) -> list[log.LogEntry] | None:
        # Its events are kept, as another database may have some, too.
        with transaction.atomic(), connection.cursor() as cursor:
            log.begin_new_life(cursor)
        return read_missed(scopes, since, until)

    async def story() -> None:
        user, chat = await readers.run(make)
        before = await readers.run(start_over)
        at = await readers.run(tell_three, chat)
        hub = Hub(ring=1)
        # It does not follow the log, so it cannot have noticed.
        await hub._catch_up()
        monkeypatch.setattr(hubs, "_read_missed", swapped)
        with pytest.raises(NotReady, match="another one"):
            await hub.join(None, identity(user, chat, at), before)  # type: ignore[arg-type]  # nobody to send to

    asyncio.run(story())
