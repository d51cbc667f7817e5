"""The engine below its clients: log, triggers, rivals, sign-in state, oversized batches."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.utils import OperationalError

from stack.accounts.models import Profile, Session, User
from stack.chat.models import Chat, ChatMember, Message, ReadMark
from stack.live import batch as batches
from stack.live import installing, log, memberships, triggers
from stack.live.batch import run_batch
from stack.live.checks import check_triggers
from stack.live.db import is_serialization_failure, repeatable_read
from stack.live.frames import Close
from stack.live.identity import session_digest
from stack.live.models import Event, MembershipRow, Outbox
from stack.live.registry import registry
from stack.live.relay import schema_hash
from stack.live.snapshot import read_page, read_snapshot, read_windows
from stack.live.testing import Engine, Store

pytestmark = pytest.mark.usefixtures("transactional_db")


def person(name: str) -> User:
    user = User.objects.create(username=name)
    Profile.objects.create(user=user, first_name=name)
    return user


@pytest.fixture
def engine(transactional_db: None, live_store: Callable[[], Store]) -> Engine:
    return Engine(live_store)


class TestLog:
    def test_seq_has_no_gap_and_prev_is_the_scopes_last(self, engine: Engine) -> None:
        for number in range(5):
            Chat.objects.create(title=f"chat {number}")
            Chat.objects.update(title=f"all {number}")
            engine.drain()
        events = list(Event.objects.order_by("seq"))
        assert [e.seq for e in events] == list(range(events[0].seq, events[0].seq + len(events)))
        last: dict[str, int] = {}
        for event in events:
            assert event.prev == last.get(event.scope, 0)
            last[event.scope] = event.seq
        assert any(event.prev for event in events)

    def test_one_event_per_scope_and_batch_with_removes_first(self, engine: Engine) -> None:
        chat = Chat.objects.create()
        anna, ben = person("anna"), person("ben")
        member = ChatMember.objects.create(chat=chat, user=anna)
        engine.drain()
        ChatMember.objects.create(chat=chat, user=ben)
        Chat.objects.filter(pk=chat.pk).update(title="new")
        member.delete()
        entries = [e for e in engine.drain() if e.scope == f"chat:{chat.pk}"]
        assert len(entries) == 1
        assert [op["op"] for op in json.loads(entries[0].ops)] == ["remove", "upsert", "upsert"]

    def test_a_new_life_has_another_epoch(self) -> None:
        out = StringIO()
        with connection.cursor() as cursor:
            log.lock_head(cursor)
            before = log.read_head(cursor)
        call_command("live", "new-epoch", stdout=out)
        with connection.cursor() as cursor:
            after = log.read_head(cursor)
        assert (after.seq, after.epoch) == (before.seq, out.getvalue().split()[1])
        assert after.epoch != before.epoch

    def test_a_head_that_went_back_begins_a_new_life(self, engine: Engine) -> None:
        with connection.cursor() as cursor:
            before = log.read_head(cursor)
        Chat.objects.create()
        batch = run_batch(_reads(), last=log.Position(before.epoch, before.seq + 100))
        assert batch is not None
        assert batch.head.epoch != before.epoch

    def test_other_registrations_are_another_epoch(self, engine: Engine) -> None:
        with connection.cursor() as cursor:
            before = log.read_head(cursor)
        batch = run_batch(_reads(), schema_hash="other code")
        assert batch is not None
        assert batch.head.epoch != before.epoch
        again = run_batch(_reads(), schema_hash=schema_hash())
        assert again is not None
        # What changed in between may have made no events that this code would have made.
        assert again.head.epoch not in (before.epoch, batch.head.epoch)
        same = run_batch(_reads(), schema_hash=schema_hash())
        assert same is not None
        assert same.head.epoch == again.head.epoch


def _reads() -> dict[str, frozenset[str]]:
    with connection.cursor() as cursor:
        return memberships.tables_read(cursor)


class TestRivals:
    def test_two_relays_and_eight_writers_lose_and_repeat_nothing(self, engine: Engine) -> None:
        """Relays that fight over the head: every change is an event once, in one gapless log."""
        chats = [Chat.objects.create(title="0") for _ in range(8)]
        engine.drain()
        start = Event.objects.count()
        done = threading.Event()
        conflicts: list[int] = []

        def write(chat: Chat) -> None:
            for number in range(1, 41):
                Chat.objects.filter(pk=chat.pk).update(title=str(number))
            connections.close_all()

        def relay() -> int:
            reads, count, ended = _reads(), 0, False
            while not ended:
                # What was committed before the last look is taken by it.
                ended = done.is_set()
                try:
                    while (batch := run_batch(reads)) is not None:
                        count += len(batch.entries)
                except OperationalError as error:
                    if not is_serialization_failure(error):
                        raise
                    conflicts.append(1)
                    ended = False
            connections.close_all()
            return count

        with ThreadPoolExecutor(10) as pool:
            relays = [pool.submit(relay) for _ in range(2)]
            for future in [pool.submit(write, chat) for chat in chats]:
                future.result()
            done.set()
            relayed = sum(future.result() for future in relays)

        events = list(Event.objects.order_by("seq"))
        assert [e.seq for e in events] == list(range(events[0].seq, events[0].seq + len(events)))
        assert relayed == len(events) - start
        assert not Outbox.objects.exists()
        for chat in chats:
            titles = [int(json.loads(e.ops)[0]["data"]["title"]) for e in events if e.scope == f"chat:{chat.pk}"]
            assert titles == sorted(titles)
            assert titles[-1] == 40

    def test_a_transaction_that_stays_open_holds_nobody_up(self, engine: Engine) -> None:
        """Rows are consumed by presence: a lower id that commits later is neither lost nor waited for."""
        early, late = Chat.objects.create(), Chat.objects.create()
        engine.drain()
        written, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            from django.db import transaction

            with transaction.atomic():
                Chat.objects.filter(pk=early.pk).update(title="held")
                written.set()
                assert go_on.wait(20)
            connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            holding = pool.submit(hold)
            assert written.wait(20)
            Chat.objects.filter(pk=late.pk).update(title="free")
            assert [e.scope for e in engine.drain()] == [f"chat:{late.pk}"]
            go_on.set()
            holding.result()
        assert [e.scope for e in engine.drain()] == [f"chat:{early.pk}"]


class TestTriggers:
    def test_everything_is_in_step_after_migrate(self) -> None:
        assert check_triggers(databases=["default"]) == []
        assert installing.install() == []

    def test_a_missing_trigger_is_found_and_mended(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER live_capture_chat_chat_update ON chat_chat")
        try:
            (problem,) = check_triggers(databases=["default"])
            assert problem.msg == "trigger live_capture_chat_chat_update on chat_chat is missing"
            with pytest.raises(CommandError, match=r"manage\.py live install"):
                call_command("live", "status", stdout=StringIO())
        finally:
            assert installing.install() == ["live_capture_chat_chat_update"]
        assert check_triggers(databases=["default"]) == []

    def test_a_disabled_trigger_is_found_and_mended(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE chat_chat DISABLE TRIGGER live_capture_chat_chat_insert")
        try:
            (problem,) = check_triggers(databases=["default"])
            assert "stale or disabled" in problem.msg
        finally:
            assert installing.install() == ["live_capture_chat_chat_insert"]

    def test_a_trigger_nobody_wants_is_found_and_dropped(self) -> None:
        extra = triggers.Trigger("chat_chat", "INSERT", "", "public").statements("x")
        with connection.cursor() as cursor:
            for statement in extra:
                cursor.execute(statement.replace("live_capture_chat_chat_insert", "live_capture_old"))
        try:
            (problem,) = check_triggers(databases=["default"])
            assert "left over" in problem.msg
        finally:
            assert installing.install() == ["live_capture_old"]

    def test_they_cannot_be_silenced_or_bent(self) -> None:
        """Always on, whatever the replication role; with the owner's rights, but a search path of their own."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT t.tgenabled, p.prosecdef, p.proconfig IS NOT NULL,
                    has_function_privilege('public', p.oid, 'EXECUTE')
                FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgname LIKE 'live_capture_%%'
                """
            )
            found = cursor.fetchall()
        assert len(found) > 20
        assert set(found) == {("A", True, True, False)}


class TestSignIn:
    def sessions(self, user: User) -> tuple[Session, Session]:
        made = [
            Session.objects.create(session_key=key, session_data="", expire_date="2100-01-01T00:00Z", user=user)
            for key in ("key-of-phone", "key-of-desk")
        ]
        return made[0], made[1]

    def test_a_session_that_ends_closes_its_sockets_alone(self, engine: Engine) -> None:
        anna = person("anna")
        first, second = self.sessions(anna)
        engine.drain()
        ended = engine.connect(anna.pk, session=session_digest(first.session_key))
        stays = engine.connect(anna.pk, session=session_digest(second.session_key))
        first.delete()
        engine.drain()
        assert (ended.closed, stays.closed) == (Close.SIGNED_OUT, None)
        assert "key-of" not in json.dumps(list(Event.objects.values_list("ops", flat=True)))

    @pytest.mark.parametrize("change", [{"is_active": False}, {"password": "other"}])
    def test_a_disabled_or_changed_account_closes_all_of_its_sockets(
        self, engine: Engine, change: dict[str, object]
    ) -> None:
        anna, ben = person("anna"), person("ben")
        engine.drain()
        phone, desk, other = (engine.connect(user.pk) for user in (anna, anna, ben))
        User.objects.filter(pk=anna.pk).update(**change)
        engine.drain()
        assert [client.closed for client in (phone, desk, other)] == [Close.SIGNED_OUT, Close.SIGNED_OUT, None]


class TestTrouble:
    def test_windows_too_large_for_an_event_are_loaded_by_the_client(self, engine: Engine) -> None:
        anna = person("anna")
        chats = Chat.objects.bulk_create([Chat(title="x" * 200) for _ in range(3)])
        for chat in chats:
            Message.objects.bulk_create(
                [Message(chat=chat, sender=anna, number=n, text="y" * 9_000) for n in range(1, 41)]
            )
        engine.drain()
        client = engine.connect(anna.pk)
        with engine.verify():
            ChatMember.objects.bulk_create([ChatMember(chat=chat, user=anna) for chat in chats])
        (event,) = (frame for frame in client.frames if any(op["op"] == "enter" for op in frame["ops"]))
        assert all(op["window"] is None for op in event["ops"] if op["op"] == "enter")
        assert len(json.dumps(event)) < log.MOST_BYTES

    def test_an_event_is_counted_in_bytes(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        anna = person("anna")
        chat = Chat.objects.create()
        ChatMember.objects.create(chat=chat, user=anna)
        engine.drain()
        client = engine.connect(anna.pk)
        monkeypatch.setattr(log, "MOST_BYTES", 350)
        with engine.verify():
            Chat.objects.filter(pk=chat.pk).update(title="ж" * 150)
        assert [frame["ops"] for frame in client.frames] == [[log.STALE]]

    def test_windows_are_counted_in_bytes(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        anna = person("anna")
        chat = Chat.objects.create(title="ж" * 200)
        engine.drain()
        size = len(log.encode(read_windows([f"chat:{chat.pk}"])))
        client = engine.connect(anna.pk)
        monkeypatch.setattr(batches, "MOST_WINDOW_BYTES", size + 150)
        with engine.verify():
            ChatMember.objects.create(chat=chat, user=anna)
        ops = [op for frame in client.frames for op in frame["ops"]]
        assert {"op": "enter", "scope": f"chat:{chat.pk}", "window": None} in ops

    def test_a_narrow_that_fails_is_evaluated_whole(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        anna, ben = person("anna"), person("ben")
        chat = Chat.objects.create()
        engine.drain()
        client = engine.connect(anna.pk)
        broken = {
            key: dataclasses.replace(m, narrow=dict.fromkeys(m.narrow, lambda row: row["no such column"]))
            for key, m in registry.memberships.items()
        }
        monkeypatch.setattr(registry, "memberships", broken)
        with engine.verify():
            ChatMember.objects.bulk_create([ChatMember(chat=chat, user=user) for user in (anna, ben)])
        assert f"profile:{ben.pk}" in client.store.scopes
        assert "the whole is evaluated" in caplog.text

    def test_sockets_that_end_are_told_nothing_of_the_same_batch(self, engine: Engine) -> None:
        anna = person("anna")
        engine.drain()
        client = engine.connect(anna.pk)
        ReadMark.objects.create(user=anna, chat=Chat.objects.create(), number=1)
        User.objects.filter(pk=anna.pk).update(is_active=False)
        engine.drain()
        assert (client.closed, client.frames) == (Close.SIGNED_OUT, [])


class TestAccess:
    def test_nothing_committed_after_the_loss_is_sent(self, engine: Engine) -> None:
        """Loss and later writes in one batch: the leave comes first and nothing of the chat follows."""
        anna, ben = person("anna"), person("ben")
        chat = Chat.objects.create(title="open")
        for user in (anna, ben):
            ChatMember.objects.create(chat=chat, user=user)
        engine.drain()
        left = engine.connect(ben.pk)
        ChatMember.objects.filter(user=ben).delete()
        Chat.objects.filter(pk=chat.pk).update(title="secret")
        engine.drain()
        assert "secret" not in json.dumps(left.frames)
        assert left.frames[0]["ops"][0] == {"op": "leave", "scope": f"chat:{chat.pk}"}

    def test_narrow_evaluation_equals_the_whole(self, engine: Engine) -> None:
        people = [person(f"person {n}") for n in range(5)]
        chats = [Chat.objects.create() for _ in range(3)]
        for n, user in enumerate(people):
            ChatMember.objects.create(chat=chats[n % 3], user=user)
        engine.drain()
        ChatMember.objects.filter(user__in=people[:2]).update(chat=chats[2])
        ChatMember.objects.filter(user=people[3]).delete()
        ChatMember.objects.create(chat=chats[0], user=people[4])
        engine.drain()
        narrow = set(MembershipRow.objects.values_list("source", "scope", "viewer"))
        with connection.cursor() as cursor:
            difference = memberships.evaluate(cursor, None, _reads())
        assert not difference.viewers
        assert set(MembershipRow.objects.values_list("source", "scope", "viewer")) == narrow

    def test_a_snapshot_refuses_to_share_a_transaction(self) -> None:
        with repeatable_read(), pytest.raises(RuntimeError, match="transaction of its own"):
            read_snapshot(1)

    def test_a_page_of_a_strangers_chat_is_empty(self) -> None:
        anna = person("anna")
        chat = Chat.objects.create()
        page = read_page(anna.pk, f"chat:{chat.pk}", "message", [10, 10])
        assert (page["items"], page["bound"]) == ([], [10, 10])


def test_events_do_not_grow_with_the_batch_in_queries(engine: Engine) -> None:
    """A batch costs the same number of queries for one changed row and for a hundred."""
    from django.test.utils import CaptureQueriesContext

    chats = Chat.objects.bulk_create([Chat() for _ in range(100)])
    engine.drain()

    def queries(count: int) -> int:
        Chat.objects.filter(pk__in=[c.pk for c in chats[:count]]).update(title=f"of {count}")
        with CaptureQueriesContext(connection) as captured:
            assert len((run_batch(_reads()) or pytest.fail("no batch")).entries) == count
        return len(captured)

    assert queries(1) == queries(100)
