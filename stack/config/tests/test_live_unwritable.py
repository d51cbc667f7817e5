"""Rows with values that Python has nothing for: they are as if they were not there, and stop nobody."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from stack.chat.models import Chat, ChatMember, Message
from stack.config.tests import test_live_equality as equality
from stack.config.tests.test_live_equality import World, message, sql
from stack.jobs.models import Job
from stack.live import outbox, snapshot
from stack.live.memberships import RowChange
from stack.live.rows import Reader, reader
from stack.live.snapshot import read_page, read_scope, read_snapshot
from stack.live.testing import Engine

pytestmark = pytest.mark.usefixtures("transactional_db")

world, engine = equality.world, equality.engine

BREAKS: dict[str, tuple[str, str]] = {
    "infinity": ("message", "UPDATE chat_message SET created_at = 'infinity' WHERE chat_id = {short} AND number = 2"),
    "a late year": (
        "message",
        "UPDATE chat_message SET created_at = '10000-01-01' WHERE chat_id = {short} AND number = 2",
    ),
    "before Christ": (
        "message",
        "UPDATE chat_message SET created_at = '0044-03-15 BC' WHERE chat_id = {short} AND number = 2",
    ),
    "many digits": ("job", "UPDATE jobs_job SET result = '1e5000'::jsonb"),
    "more than a float": ("job", "UPDATE jobs_job SET result = ('1' || repeat('0', 400) || '.5')::jsonb"),
    "deep": ("job", "UPDATE jobs_job SET result = (repeat('[', 3000) || repeat(']', 3000))::jsonb"),
}


@pytest.mark.parametrize("row", ["1" * 5000, "[" * 3000 + "]" * 3000])
def test_a_membership_that_reads_such_a_value_is_evaluated_whole(world: World, engine: Engine, row: str) -> None:
    sql(
        "INSERT INTO live_outbox (kind, name, key, scope, row) VALUES ('membership', 'chat_chatmember', '', '', %s)",
        row,
    )
    with transaction.atomic(), connection.cursor() as cursor:
        assert outbox.take(cursor).changes == [RowChange("chat_chatmember", None)]


@pytest.mark.parametrize("how", BREAKS)
def test_it_goes_and_comes_back_and_others_are_told(
    world: World, engine: Engine, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    name, statement = BREAKS[how]
    reader.cache_clear()
    with engine.verify(), transaction.atomic():
        sql(statement.format(short=world.short.pk))
        Chat.objects.filter(pk=world.long.pk).update(title="meanwhile")
    ops = [op for client in engine.clients for frame in client.frames for op in frame["ops"]]
    assert {(op["op"], op["type"]) for op in ops} == {("remove", name), ("upsert", "chat")}
    read_snapshot(world.anna.pk)
    assert caplog.text.count("is left out") == 1
    with engine.verify():
        Message.objects.update(created_at="2020-01-01T00:00Z")
        Job.objects.update(result={"rows": 1})


def broken(chat: Chat, *numbers: int) -> None:
    Message.objects.filter(chat=chat, number__in=numbers).update(text="broken")
    sql("UPDATE chat_message SET created_at = 'infinity' WHERE text = 'broken'")


def test_whoever_enters_or_loads_gets_the_others(world: World, engine: Engine) -> None:
    broken(world.short, 1)
    engine.drain()
    with engine.verify():
        ChatMember.objects.create(chat=world.short, user=world.david)
    scope = f"chat:{world.short.pk}"
    window = read_scope(world.david.pk, scope)["window"]
    assert [entity["number"] for entity in window["entities"]["message"]] == [2, 3]
    with engine.verify():
        sql("SET CONSTRAINTS ALL IMMEDIATE")
        Message.objects.bulk_create([message(world.short, world.ben, n) for n in range(4, 604)])


@pytest.mark.parametrize("numbers", [(60,), (11,), (10,), (11, 12, 60), (1,)])
def test_pages_and_bounds_stay_where_they_would_be(
    world: World, engine: Engine, numbers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long type of which more is there than a window holds: older ones can still be had."""
    monkeypatch.setattr(snapshot, "PAGE", 5)
    broken(world.long, *numbers)
    engine.drain()
    scope = f"chat:{world.long.pk}"
    window = read_scope(world.clara.pk, scope)["window"]
    found = [entity["number"] for entity in window["entities"]["message"]]
    assert found == [n for n in range(11, 61) if n not in numbers]
    bound = window["bounds"]["message"]
    while bound is not None:
        page = read_page(world.clara.pk, scope, "message", bound)
        found = [*(item["number"] for item in page["items"]), *found]
        bound = page["bound"]
    assert found == [n for n in range(1, 61) if n not in numbers]


def test_a_serializer_that_fails_stops_nobody(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row = Reader._row

    def fails(self: Reader, values: list[object]) -> object:
        if "bad" in values:
            raise ZeroDivisionError
        return row(self, values)

    monkeypatch.setattr(Reader, "_row", fails)
    with engine.verify():
        Chat.objects.filter(pk=world.short.pk).update(title="bad")
        Chat.objects.filter(pk=world.long.pk).update(title="good")
    assert "ZeroDivisionError" in caplog.text
