"""Changes of any size: bounded batches, nobody waits behind them, and everybody ends with the same.

The limits are made small here; what a batch does is counted, not timed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from stack.accounts.models import Profile, Session, User
from stack.chat.models import Chat, ChatMember, Message
from stack.config.tests.test_live_hub import head, join, play, relay, rename, running, who
from stack.live import batch as batches
from stack.live import memberships, outbox
from stack.live.batch import Batch, run_batch
from stack.live.db import readers, repeatable_read
from stack.live.frames import Close
from stack.live.hub import NotReady
from stack.live.identity import session_digest
from stack.live.models import Event, MembershipRow, Outbox
from stack.live.testing import Engine, Store

pytestmark = pytest.mark.usefixtures("transactional_db")

ROWS = 20


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_ROWS", ROWS)
    monkeypatch.setattr(outbox, "SMALL", 4)


@pytest.fixture
def engine(transactional_db: None, live_store: Callable[[], Store]) -> Engine:
    return Engine(live_store)


def people(count: int) -> list[User]:
    users = User.objects.bulk_create([User(username=uuid.uuid4().hex) for _ in range(count)])
    Profile.objects.bulk_create([Profile(user=user) for user in users])
    return users


def reads() -> dict[str, frozenset[str]]:
    with connection.cursor() as cursor:
        return memberships.tables_read(cursor)


def one_batch() -> Batch:
    made = run_batch(reads())
    assert made is not None
    return made


def waiting() -> int:
    return Outbox.objects.count()


def scopes(made: Batch) -> list[str]:
    return [entry.scope for entry in made.entries]


@pytest.mark.usefixtures("small")
class TestManyScopes:
    def test_a_small_change_overtakes_a_large_one(self, engine: Engine) -> None:
        users = people(100)
        chat = Chat.objects.create()
        engine.drain()
        Profile.objects.update(bio="all at once")
        Chat.objects.filter(pk=chat.pk).update(title="mine")
        made = one_batch()
        assert f"chat:{chat.pk}" in scopes(made)
        assert len(made.entries) == ROWS
        assert waiting() == len(users) + 1 - ROWS

    def test_also_from_the_middle_of_a_large_one(self, engine: Engine) -> None:
        """Ids of the outbox are given before the commit: a small change may lie among those of a large one."""
        people(100)
        chat = Chat.objects.create()
        engine.drain()

        def small_change() -> None:
            Chat.objects.filter(pk=chat.pk).update(title="mine")
            connections.close_all()

        profiles = Profile.objects.order_by("user_id")
        middle = profiles[50].pk
        with ThreadPoolExecutor(1) as pool, transaction.atomic():
            profiles.filter(pk__lt=middle).update(bio="first half")
            pool.submit(small_change).result()
            profiles.filter(pk__gte=middle).update(bio="second half")
        assert f"chat:{chat.pk}" in scopes(one_batch())

    def test_every_batch_takes_some_of_the_large_one_too(self, engine: Engine) -> None:
        people(60)
        chats = Chat.objects.bulk_create([Chat() for _ in range(ROWS)])
        engine.drain()
        Profile.objects.update(bio="all at once")
        before = waiting()
        for chat in chats:
            Chat.objects.filter(pk=chat.pk).update(title="small")
        taken = [scope for scope in scopes(one_batch()) if scope.startswith("profile:")]
        assert 0 < len(taken) == before + len(chats) - waiting() - ROWS // 2

    def test_all_of_it_is_told_once_and_in_order(self, engine: Engine) -> None:
        users = people(ROWS * 3 + 1)
        engine.drain()
        client = engine.connect(users[-1].pk)
        first = head().seq
        with engine.verify():
            Profile.objects.update(bio="all at once")
        events = list(Event.objects.filter(seq__gt=first).order_by("seq"))
        assert [event.seq for event in events] == list(range(first + 1, first + 1 + len(users)))
        assert len({event.scope for event in events}) == len(users)
        assert [f["ops"][0]["data"]["bio"] for f in client.frames] == ["all at once"]

    def test_a_batch_makes_as_many_queries_and_events_however_much_waits(self, engine: Engine) -> None:
        def cost(count: int) -> tuple[int, int]:
            people(count)
            engine.drain()
            Profile.objects.update(bio=f"of {count}")
            known = reads()
            with CaptureQueriesContext(connection) as captured:
                made = run_batch(known)
            assert made is not None
            engine.drain()
            return len(captured), len(made.entries)

        assert cost(ROWS * 2) == cost(ROWS * 5)


@pytest.mark.usefixtures("small")
class TestOneScope:
    def test_its_entities_are_not_read(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "MOST_OPS", 10)
        (anna,) = people(1)
        chat, other = Chat.objects.create(), Chat.objects.create()
        Message.objects.bulk_create([Message(chat=chat, sender=anna, number=n, text="x") for n in range(1, 101)])
        engine.drain()
        known = reads()
        Message.objects.update(text="y")
        Chat.objects.filter(pk=other.pk).update(title="mine")
        with CaptureQueriesContext(connection) as captured:
            made = run_batch(known)
        assert made is not None
        told = {entry.scope: json.loads(entry.ops) for entry in made.entries}
        assert told[f"chat:{chat.pk}"] == [{"op": "stale"}]
        assert told[f"chat:{other.pk}"][0]["data"]["title"] == "mine"
        assert not [query["sql"] for query in captured if '"chat_message"' in query["sql"]]
        assert waiting() == 0


LIMITS: dict[str, dict[str, Any]] = {
    "few rows": {"outbox.MOST_ROWS": 3},
    "few changes": {"outbox.MOST_ROWS": 3, "outbox.MOST_CHANGES": 2},
    "few conditions": {"memberships.MOST_CONDITIONS": 1},
    "few values": {"memberships.MOST_CONDITIONS": 1, "memberships.MOST_VALUES": 2},
    "no windows": {"batches.MOST_WINDOW_BYTES": 0},
    "one window": {"batches.MOST_WINDOWS": 1},
    "few windows": {"batches.MOST_WINDOW_BYTES": 300, "batches._WINDOWS_AT_ONCE": 1},
}
MODULES = {"outbox": outbox, "memberships": memberships, "batches": batches}


@pytest.mark.parametrize("limit", LIMITS)
def test_beyond_every_limit_clients_equal_a_fresh_snapshot(
    engine: Engine, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = people(8)
    chats = Chat.objects.bulk_create([Chat(title=str(n)) for n in range(4)])
    for n, user in enumerate(users[:6]):
        ChatMember.objects.create(chat=chats[n % 3], user=user)
    engine.drain()
    for user in users:
        engine.connect(user.pk)
    for name, value in LIMITS[limit].items():
        module, _, constant = name.partition(".")
        monkeypatch.setattr(MODULES[module], constant, value)
    with engine.verify():
        ChatMember.objects.bulk_create([ChatMember(chat=chats[3], user=user) for user in users])
    with engine.verify():
        ChatMember.objects.exclude(chat=chats[3]).update(chat=chats[0])
    with engine.verify():
        Profile.objects.update(bio="new")
        Message.objects.bulk_create(
            [Message(chat=chats[3], sender=users[0], number=n, text="x", client_id=uuid.uuid4()) for n in range(1, 9)]
        )
    with engine.verify():
        ChatMember.objects.filter(chat=chats[3]).delete()
        Message.objects.filter(number__lt=5).delete()
    with engine.verify():
        Profile.objects.filter(user__in=users[:6]).delete()
    assert_in_step()


def assert_in_step() -> None:
    """The stored memberships are those of a whole evaluation."""
    before = set(MembershipRow.objects.values_list("source", "scope", "viewer"))
    with connection.cursor() as cursor:
        assert not memberships.evaluate(cursor, None, reads()).viewers
    assert set(MembershipRow.objects.values_list("source", "scope", "viewer")) == before


class TestMemberships:
    def test_rows_are_condensed_before_they_are_read(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "MOST_ROWS", 10)
        monkeypatch.setattr(outbox, "MOST_CHANGES", 5)
        users = people(40)
        chat = Chat.objects.create()
        engine.drain()
        ChatMember.objects.bulk_create([ChatMember(chat=chat, user=user) for user in users])
        with transaction.atomic(), connection.cursor() as cursor:
            taken = outbox.take(cursor)
        assert [(change.table, change.row) for change in taken.changes] == [("chat_chatmember", None)]

    def test_a_few_at_the_beginning_do_not_stand_for_all(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "MOST_ROWS", 10)
        monkeypatch.setattr(outbox, "MOST_CHANGES", 3)
        Outbox.objects.bulk_create(
            [Outbox(kind=Outbox.Kind.MEMBERSHIP, name="a", row={"n": 1}) for _ in range(11)]
            + [Outbox(kind=Outbox.Kind.MEMBERSHIP, name="b", row={"n": 2})]
        )
        with repeatable_read() as cursor:
            taken = outbox.take(cursor)
        assert {(change.table, change.row["n"]) for change in taken.changes if change.row} == {("a", 1), ("b", 2)}

    def test_equal_ones_count_once(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "MOST_ROWS", 10)
        (anna,) = people(1)
        chat = Chat.objects.create()
        engine.drain()
        for _ in range(6):
            ChatMember.objects.create(chat=chat, user=anna).delete()
        with transaction.atomic(), connection.cursor() as cursor:
            taken = outbox.take(cursor)
        assert [change.row for change in taken.changes] == [{"chat_id": chat.pk, "user_id": anna.pk}]
        engine.drain()
        assert waiting() == 0

    def test_what_stays_as_it_is_is_not_read(self, engine: Engine) -> None:
        """The database compares: of a whole evaluation that finds nothing new, nothing comes here."""
        users = people(30)
        chat = Chat.objects.create()
        ChatMember.objects.bulk_create([ChatMember(chat=chat, user=user) for user in users])
        engine.drain()
        read: list[int] = []

        class Counting:
            def __init__(self, cursor: Any) -> None:
                self._cursor = cursor

            def __getattr__(self, name: str) -> Any:
                return getattr(self._cursor, name)

            def fetchall(self) -> list[Any]:
                found: list[Any] = self._cursor.fetchall()
                read.append(len(found))
                return found

        known = reads()
        with connection.cursor() as cursor:
            memberships.evaluate(Counting(cursor), None, known)  # type: ignore[arg-type]  # as far as it is used
        assert MembershipRow.objects.count() > 900
        assert sum(read) == 0

    def test_too_much_for_too_many_is_a_new_life(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memberships, "MOST_PAIRS", 10)
        monkeypatch.setattr(memberships, "MOST_ANEW", 8)

        def add(chat: Chat) -> Batch:
            ChatMember.objects.bulk_create([ChatMember(chat=chat, user=user) for user in people(8)])
            return one_batch()

        async def story(anna: User, chat: Chat) -> None:
            async with running() as hub:
                identity = await readers.run(who, anna)
                await readers.run(relay)
                wire, _ = await join(hub, identity, None)
                cursor = hub.position
                assert cursor is not None
                made = await readers.run(add, chat)
                assert made.head.epoch != cursor.epoch
                await readers.run(assert_in_step)
                await wire.until(lambda: wire.code is not None)
                assert wire.code == Close.RESUME
                wire, _ = await join(hub, await readers.run(who, anna), cursor)
                assert not wire.frames[0]["resumed"]
                held = wire.frames[1]["scopes"]
                assert len([scope for scope in held if scope.startswith("profile:")]) == 9

        play(story)

    @pytest.mark.parametrize("most", [10, 90])
    def test_too_much_for_a_few_is_told_to_them_alone(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        """Pairs of one membership are beyond the first limit, those of all together beyond the second."""
        monkeypatch.setattr(memberships, "MOST_PAIRS", most)

        def meet(chat: Chat) -> Batch:
            ChatMember.objects.bulk_create([ChatMember(chat=chat, user=user) for user in people(8)])
            return one_batch()

        async def story(anna: User, chat: Chat) -> None:
            (bystander,) = await readers.run(people, 1)
            await readers.run(relay)
            async with running() as hub:
                early = await readers.run(who, anna)
                wire, socket = await join(hub, early, None)
                aside, _ = await join(hub, await readers.run(who, bystander), None)
                before = hub.position
                assert before is not None
                made = await readers.run(meet, chat)
                assert made.head.epoch == before.epoch
                told = [op["op"] for entry in made.entries for op in json.loads(entry.ops) if entry.control]
                assert told.count("anew") == 9
                assert not {"enter", "leave"}.intersection(told)
                await readers.run(assert_in_step)
                await wire.until(lambda: wire.code is not None)
                assert wire.code == Close.RESUME
                assert not socket.scopes
                assert not any(op["op"] == "anew" for frame in wire.frames for op in frame.get("ops", ()))
                # Who is looked up before and joins behind it does not hold what is seen now.
                with pytest.raises(NotReady):
                    await join(hub, early, before)
                with pytest.raises(NotReady):
                    await join(hub, early, None)
                wire, _ = await join(hub, await readers.run(who, anna), before)
                assert not wire.frames[0]["resumed"]
                held = wire.frames[1]["scopes"]
                assert len([scope for scope in held if scope.startswith("profile:")]) == 9
                known = hub.position
                assert known is not None
                wire, _ = await join(hub, await readers.run(who, anna), known)
                assert wire.frames[0]["resumed"]
                await readers.run(rename, chat, 1)
                await wire.until(lambda: bool(wire.seqs()))
                assert aside.code is None
            async with running(ring=1) as hub:
                wire, _ = await join(hub, await readers.run(who, anna), before)
                assert not wire.frames[0]["resumed"]

        play(story)

    def test_memberships_that_are_no_more_are_many(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memberships, "MOST_PAIRS", 10)
        MembershipRow.objects.bulk_create([MembershipRow(source="old", scope=f"old:{n}", viewer=1) for n in range(20)])
        before = head()
        with transaction.atomic(), connection.cursor() as cursor:
            assert memberships.evaluate(cursor, None, reads()).anew == {1}
            transaction.set_rollback(True)
        made = run_batch(reads(), schema_hash="other code")
        assert made is not None
        assert made.head.epoch != before.epoch
        assert not MembershipRow.objects.filter(source="old").exists()


class TestSignIn:
    def test_many_sessions_end_in_one_statement(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "MOST_ROWS", 3)
        users = people(6)
        sessions = [
            Session.objects.create(session_key=f"key-{n}-{user.pk}", expire_date="2100-01-01T00:00Z", user=user)
            for user in users
            for n in range(2)
        ]
        engine.drain()
        clients = [engine.connect(s.user_id or 0, session=session_digest(s.session_key)) for s in sessions]
        first = head().seq
        with CaptureQueriesContext(connection) as captured:
            Session.objects.filter(session_key__startswith="key-0").delete()
        assert captured
        made = one_batch()
        events = list(Event.objects.filter(seq__gt=first).order_by("seq"))
        assert [e.seq for e in events] == list(range(first + 1, first + 1 + len(events)))
        assert {e.scope for e in events} == {f"user:{user.pk}" for user in users}
        assert all(e.control for e in events)
        assert made.head.seq == first + len(events) == head().seq
        for entry in made.entries:
            engine.roster.deliver(entry)
        assert [c.closed for c in clients] == [
            Close.SIGNED_OUT if s.session_key.startswith("key-0") else None for s in sessions
        ]
        assert waiting() == 0

    @pytest.mark.parametrize("ended", ["sessions", "accounts"])
    def test_more_than_are_told_begin_a_new_life(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch, ended: str
    ) -> None:
        monkeypatch.setattr(outbox, "MOST_ROWS", 3)
        monkeypatch.setattr(outbox, "MOST_CLOSINGS", 5)
        users = people(6)
        for user in users:
            Session.objects.create(session_key=f"key-{user.pk}", expire_date="2100-01-01T00:00Z", user=user)
        engine.drain()
        before = head()
        if ended == "sessions":
            Session.objects.all().delete()
        else:
            User.objects.update(password="other")
        made = one_batch()
        assert made.head == head()
        assert made.head.epoch != before.epoch
        assert not any(op["op"] == "close" for entry in made.entries for op in json.loads(entry.ops))
        assert waiting() == 0

    def test_sessions_that_were_over_are_cleared_without_a_word(self, engine: Engine) -> None:
        (anna,) = people(1)
        for number, until in enumerate(["2001-01-01T00:00Z", "2100-01-01T00:00Z"]):
            Session.objects.create(session_key=f"key-{number}", expire_date=until, user=anna)
        engine.drain()
        Session.objects.filter(session_key="key-0").delete()
        assert waiting() == 0
        Session.objects.filter(session_key="key-1").delete()
        assert waiting() == 1

    def test_prev_stays_true_around_them(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "MOST_ROWS", 3)
        users = people(6)
        engine.drain()
        User.objects.update(password="other", is_staff=True)
        engine.drain()
        last: dict[str, int] = {}
        events = list(Event.objects.order_by("seq"))
        assert [e.seq for e in events] == list(range(events[0].seq, events[0].seq + len(events)))
        for event in events:
            assert event.prev == last.get(event.scope, 0)
            last[event.scope] = event.seq
        assert {op["op"] for e in events for op in json.loads(e.ops)} >= {"close", "upsert"}
        assert len(users) == 6


def test_many_scopes_of_an_emptied_table(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_ROWS", 3)
    (anna,) = people(1)
    chats = Chat.objects.bulk_create([Chat() for _ in range(10)])
    ChatMember.objects.bulk_create([ChatMember(chat=chat, user=anna) for chat in chats])
    Message.objects.bulk_create([Message(chat=chat, sender=anna, number=1, text="x") for chat in chats])
    engine.drain()
    engine.connect(anna.pk)
    with engine.verify(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE chat_message")
