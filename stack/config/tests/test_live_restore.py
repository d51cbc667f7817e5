"""A database that goes back to an older state below connected clients: no cursor of before ever looks valid again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction

from stack.accounts.models import User
from stack.chat.models import Chat
from stack.config.tests.test_live_hub import head, join, play, relay, rename, running, who
from stack.config.tests.test_live_retention import until
from stack.live import outbox
from stack.live.db import readers
from stack.live.frames import Close
from stack.live.log import Position
from stack.live.models import Event, Head, ScopeHead
from stack.live.relay import Relay, State

pytestmark = pytest.mark.usefixtures("transactional_db")


class Older:
    """The live tables and a chat's title as they were, to be put back in place: same database, same life."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat.pk
        self._title = Chat.objects.get(pk=chat.pk).title
        self._events = list(Event.objects.all())
        self._heads = list(Head.objects.all())
        self._scopes = list(ScopeHead.objects.all())

    def restore(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM live_event; DELETE FROM live_head; DELETE FROM live_scope")
            Event.objects.bulk_create(self._events)
            Head.objects.bulk_create(self._heads)
            ScopeHead.objects.bulk_create(self._scopes)
            Chat.objects.filter(pk=self._chat).update(title=self._title)
            cursor.execute("DELETE FROM live_outbox")


def test_a_hub_that_sees_the_log_go_back_ends_its_life() -> None:
    """The relay has been started anew and knows nothing; the log even grows beyond the old cursor again."""

    async def story(anna: User, chat: Chat) -> None:
        older = await readers.run(Older, chat)
        await readers.run(rename, chat, 3)
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), None)
            cursor = hub.position
            assert cursor is not None
            await readers.run(older.restore)
            assert (await readers.run(head)).epoch == cursor.epoch, "it has told itself: this proves nothing"
            await hub._catch_up()
            await wire.until(lambda: wire.code is not None)
            assert wire.code == Close.RESUME
            assert hub.position is not None
            assert hub.position.epoch != cursor.epoch
            await readers.run(rename, chat, 6)
            assert (await readers.run(head)).seq > cursor.seq
            wire, _ = await join(hub, await readers.run(who, anna), cursor)
            assert not wire.frames[0]["resumed"]
            assert wire.frames[1]["scopes"][f"chat:{chat.pk}"]["entities"]["chat"][0]["title"] == "5 of 6"

    play(story)


def test_two_hubs_that_see_it_end_one_life() -> None:
    async def story(anna: User, chat: Chat) -> None:
        older = await readers.run(Older, chat)
        await readers.run(rename, chat, 3)
        async with running() as one, running() as other:
            await readers.run(older.restore)
            await asyncio.gather(one._catch_up(), other._catch_up())
            assert one.position == other.position == await readers.run(head)

    play(story)


def test_a_relay_sees_it_without_any_change() -> None:
    async def story(anna: User, chat: Chat) -> None:
        leading = asyncio.Event()
        made = Relay(on_state=lambda s: leading.set() if s is State.LEADING else None)
        older = await readers.run(Older, chat)
        working = asyncio.create_task(made.run())
        try:
            async with asyncio.timeout(10):
                await leading.wait()
            before = await readers.run(head)
            await readers.run(partial(Chat.objects.filter(pk=chat.pk).update, title="newer"))
            await until(lambda: head().seq > before.seq)
            epoch = (await readers.run(head)).epoch
            await readers.run(older.restore)
            await until(lambda: head().epoch != epoch)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await made._thread.run(connections.close_all)

    play(story)


@pytest.mark.parametrize(
    ("last", "waits"), [(None, False), (Position("e", 5), False), (Position("e", 6), True), (Position("e", 4), False)]
)
def test_a_head_behind_the_last_one_is_work(last: Position | None, *, waits: bool) -> None:
    Head.objects.create(id=1, seq=5, life="x")
    with connection.cursor() as cursor:
        assert outbox.pending(cursor, last) == waits


def test_before_there_is_a_log_nothing_is_pending() -> None:
    with connection.cursor() as cursor:
        assert not outbox.pending(cursor, Position("e", 6))


@pytest.mark.parametrize("command", ["new-epoch", "start-over"])
def test_a_new_life_by_command_has_everybody_load_anew(command: str) -> None:
    """As it ends a restore that nobody could have seen: same database, a head that is further than ever."""

    def run(function: Callable[[], object]) -> None:
        function()

    async def story(anna: User, chat: Chat) -> None:
        await readers.run(rename, chat, 2)
        async with running() as hub:
            wire, _ = await join(hub, await readers.run(who, anna), None)
            cursor = hub.position
            await readers.run(run, lambda: call_command("live", command, stdout=StringIO()))
            await hub._catch_up()
            await wire.until(lambda: wire.code is not None)
            assert wire.code == Close.RESUME
            wire, _ = await join(hub, await readers.run(who, anna), cursor)
            assert not wire.frames[0]["resumed"]
            await readers.run(relay)
            assert hub.position is not None
            wire, _ = await join(hub, await readers.run(who, anna), hub.position)
            assert wire.frames[0]["resumed"]

    play(story)


@pytest.mark.parametrize("ring", [5000, 1])
def test_a_cursor_of_this_life_from_before_it_began(ring: int) -> None:
    """Nobody was given such a one: who came and went in a former life is not told by this one."""

    async def story(anna: User, chat: Chat) -> None:
        before = await readers.run(head)
        await readers.run(rename, chat, 3)
        epoch = await readers.run(new_epoch)
        began = await readers.run(head)
        await readers.run(rename, chat, 2)
        async with running(ring=ring) as hub:
            for seq in (before.seq, began.seq - 1):
                wire, _ = await join(hub, await readers.run(who, anna), Position(epoch, seq))
                assert not wire.frames[0]["resumed"]
                assert wire.seqs() == []
            wire, _ = await join(hub, await readers.run(who, anna), began)
            assert wire.frames[0]["resumed"]
            assert wire.seqs() == [began.seq + 1, began.seq + 2]

    def new_epoch() -> str:
        call_command("live", "new-epoch", stdout=StringIO())
        return head().epoch

    play(story)
