"""Migrations under live traffic: writers go on, nothing is lost, old code works until it is started anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, connections, models, transaction
from rest_framework import serializers

from stack.accounts.models import Profile, User
from stack.chat.models import Chat, ChatMember, Message
from stack.live import installing
from stack.live.batch import run_batch
from stack.live.registry import Entity, registry
from stack.live.scopes import ScopeTemplate
from stack.live.testing import Engine, Store

pytestmark = pytest.mark.usefixtures("transactional_db")

WITHIN = 60.0


class TopicalChat(models.Model):
    """The chat as newer code has it, with a column more."""

    title = models.CharField(max_length=200)
    last_number = models.PositiveBigIntegerField()
    topic = models.TextField()

    class Meta:
        app_label = "newer"
        managed = False
        db_table = "chat_chat"

    def __str__(self) -> str:
        return self.topic


class Note(models.Model):
    """A live type that only newer code has."""

    chat_id = models.BigIntegerField()
    text = models.TextField()

    class Meta:
        app_label = "newer"
        managed = False
        db_table = "newer_note"

    def __str__(self) -> str:
        return self.text


class TopicalChatSerializer(serializers.ModelSerializer[TopicalChat]):
    class Meta:
        model = TopicalChat
        fields = ("id", "title", "last_number", "topic")


class NoteSerializer(serializers.ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ("id", "chat_id", "text")


def newer_code(patch: pytest.MonkeyPatch) -> None:
    """What it registers."""
    chat = Entity("chat", TopicalChat, TopicalChatSerializer, ScopeTemplate("chat:{id}"), None, "id")
    note = Entity("note", Note, NoteSerializer, ScopeTemplate("chat:{chat_id}"), None, "id")
    patch.setattr(registry, "entities", {**registry.entities, "chat": chat, "note": note})


def migrate(statement: str) -> None:
    """One operation, as a migration would: it gives way to writers and tries again."""
    deadline = time.monotonic() + WITHIN
    while True:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '300ms'")
                cursor.execute(statement)
            return
        except OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def undone(transactional_db: None) -> Iterator[None]:
    yield
    migrate("DROP TABLE IF EXISTS newer_note; ALTER TABLE chat_chat DROP COLUMN IF EXISTS topic")
    installing.install()


@pytest.fixture
def chat(transactional_db: None) -> Chat:
    made = Chat.objects.create(title="0")
    for name in ("anna", "ben"):
        user = User.objects.create(username=name)
        Profile.objects.create(user=user)
        ChatMember.objects.create(chat=made, user=user)
    return made


class Writers:
    """Two who write to several live tables in one transaction, in different orders, until the end of the block."""

    def __init__(self, chat: Chat) -> None:
        self.written = 0
        self.longest = 0.0
        self._chat, self._over = chat, threading.Event()
        self._anna = User.objects.get(username="anna")

    @contextmanager
    def at_work(self) -> Iterator[Writers]:
        with ThreadPoolExecutor(2) as pool:
            working: list[Future[None]] = [pool.submit(self._write, order) for order in (1, -1)]
            try:
                self.go_on(5)
                yield self
                self.go_on(5)
            finally:
                self._over.set()
            for one in working:
                # Whoever was refused anything fails the test.
                one.result(WITHIN)

    def go_on(self, more: int) -> None:
        deadline, wanted = time.monotonic() + WITHIN, self.written + more
        while self.written < wanted:
            assert time.monotonic() < deadline, "nobody writes any more"
            time.sleep(0.01)

    def _write(self, order: int) -> None:
        number = 0 if order == 1 else 1_000_000
        try:
            while not self._over.is_set():
                number += 1
                began = time.monotonic()
                self._write_once(number, order)
                self.longest = max(self.longest, time.monotonic() - began)
                self.written += 1
        finally:
            connections.close_all()

    def _write_once(self, number: int, order: int) -> None:
        steps: list[Callable[[], object]] = [
            lambda: Message.objects.create(chat=self._chat, sender=self._anna, number=number, text="on and on"),
            # Its own row, so that the two don't wait for each other.
            lambda: Profile.objects.filter(user__username="anna" if order == 1 else "ben").update(bio=str(number)),
        ]
        with transaction.atomic():
            for step in steps[::order]:
                step()


def relay_some(engine: Engine) -> None:
    """A few batches: while others write without a pause there is always one more."""
    for _ in range(3):
        batch = run_batch(engine._reads)
        for entry in batch.entries if batch else ():
            engine.roster.deliver(entry)


@pytest.mark.usefixtures("undone")
def test_a_column_and_a_live_table_more_under_traffic(
    chat: Chat, live_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = User.objects.get(username="anna")
    engine = Engine(live_store)
    client = engine.connect(anna.pk)
    with Writers(chat).at_work() as writers:
        migrate("ALTER TABLE chat_chat ADD COLUMN topic text NOT NULL DEFAULT ''")
        migrate("CREATE TABLE newer_note (id bigserial PRIMARY KEY, chat_id bigint NOT NULL, text text NOT NULL)")
        relay_some(engine)
        writers.go_on(5)
        with monkeypatch.context() as newer:
            newer_code(newer)
            changed = installing.install()
        assert "live_capture_newer_note_insert" in changed
        assert "live_capture_chat_chat_update" in changed
        assert "live_capture_chat_message_insert" not in changed
        writers.go_on(5)
        # The relay of before goes on with the triggers of the newer code.
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO newer_note (chat_id, text) VALUES (%s, 'early')", [chat.pk])
            cursor.execute("UPDATE chat_chat SET topic = 'early' WHERE id = %s", [chat.pk])
        relay_some(engine)
    with engine.verify():
        Chat.objects.filter(pk=chat.pk).update(title="by old code")
    assert client.closed is None
    held = {frame["seq"] for frame in client.frames}
    assert len(held) == len(client.frames) > 3
    # Now everything is started anew.
    with monkeypatch.context() as newer:
        newer_code(newer)
        again = Engine(live_store)
        fresh = again.connect(anna.pk)
        with again.verify():
            TopicalChat._default_manager.filter(pk=chat.pk).update(topic="late")
        with again.verify(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO newer_note (chat_id, text) VALUES (%s, 'late')", [chat.pk])
        told = [op for frame in fresh.frames for op in frame["ops"]]
    assert [(op["type"], op["data"].get("topic"), op["data"].get("text")) for op in told] == [
        ("chat", "late", None),
        ("note", None, "late"),
    ]


def test_triggers_are_installed_under_traffic_that_never_pauses(chat: Chat, live_store: Callable[[], Store]) -> None:
    """All of them anew, again and again: no writer is refused, nothing is missed."""
    engine = Engine(live_store)
    engine.connect(User.objects.get(username="anna").pk)
    with engine.verify(), Writers(chat).at_work():
        for _ in range(3):
            with connection.cursor() as cursor:
                for table, name in installing.read_installed(cursor).marks:
                    if table in ("chat_message", "accounts_profile"):
                        # Still in force, but not known to be this code's.
                        migrate(f"COMMENT ON TRIGGER {name} ON {table} IS 'of yesterday'")
            assert len(installing.install()) == 8
            assert installing.install() == []


def test_somebody_who_holds_a_table_is_waited_for_and_holds_up_nobody_else(chat: Chat) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Chat.objects.filter(pk=chat.pk).update(title="held")
                held.set()
                assert let_go.wait(WITHIN)
        finally:
            connections.close_all()

    def install() -> list[str]:
        try:
            return installing.install()
        finally:
            connections.close_all()

    migrate("COMMENT ON TRIGGER live_capture_chat_chat_update ON chat_chat IS 'of yesterday'")
    with ThreadPoolExecutor(2) as pool:
        holding = pool.submit(hold)
        assert held.wait(WITHIN)
        installed = pool.submit(install)
        for number in range(5):
            other = Chat.objects.create(title=f"meanwhile {number}")
            assert other.pk
        assert not installed.done()
        let_go.set()
        holding.result(WITHIN)
        assert installed.result(WITHIN) == ["live_capture_chat_chat_update"]


def test_it_gives_up_with_the_reason(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "_INSTALLED_WITHIN", 0.0)
    migrate("COMMENT ON TRIGGER live_capture_chat_chat_update ON chat_chat IS 'of yesterday'")
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Chat.objects.filter(pk=chat.pk).update(title="held")
                held.set()
                assert let_go.wait(WITHIN)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert held.wait(WITHIN)
        try:
            with pytest.raises(OperationalError, match="lock timeout"):
                installing.install()
        finally:
            let_go.set()
            holding.result(WITHIN)
    assert installing.install() == ["live_capture_chat_chat_update"]


def test_two_installations_at_once_are_one_after_the_other(chat: Chat) -> None:
    with connection.cursor() as cursor:
        for table, name in installing.read_installed(cursor).marks:
            migrate(f"COMMENT ON TRIGGER {name} ON {table} IS 'of yesterday'")

    def install() -> list[str]:
        try:
            return installing.install()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        for made in [pool.submit(install) for _ in range(2)]:
            made.result(WITHIN)
    with connection.cursor() as cursor:
        assert installing.problems(cursor) == []
        assert installing.read_installed(cursor).whole
