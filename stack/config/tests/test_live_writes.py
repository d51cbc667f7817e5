"""Every registered live type, written in every way that there is: whoever registers another one gives a sample here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, models, transaction
from django.db.models import F
from rest_framework import serializers

from stack import live
from stack.accounts.models import Profile, User
from stack.chat.models import Chat, ChatMember, Message, ReadMark
from stack.config.tests import test_live_equality as equality
from stack.config.tests.test_live_equality import World, message, person, sql, truncate
from stack.jobs.models import Job
from stack.live import installing
from stack.live.frames import Close
from stack.live.registry import registry
from stack.live.testing import Engine, Store

pytestmark = pytest.mark.usefixtures("transactional_db")

world, engine = equality.world, equality.engine

NEWCOMER = 900_001


@dataclass(frozen=True)
class Sample:
    """How a row of a type is made, so that a client sees it, and a column of it that clients hold.

    Attributes:
        new: an instance that is not saved; what it needs is.
        field: a field that is synced, and a value that it has nowhere.
        seen: makes somebody see it, if nobody does yet.
    """

    new: Callable[[World], Any]
    field: tuple[str, Any]
    seen: Callable[[World, Any], object] = lambda _world, _made: None


def profile(_world: World) -> Profile:
    User.objects.create(id=NEWCOMER, username="newcomer")
    return Profile(user_id=NEWCOMER, first_name="New")


def join(world: World, chat: Chat) -> ChatMember:
    return ChatMember.objects.create(chat_id=chat.pk, user=world.anna)


def known(world: World, _made: User) -> None:
    """Somebody else sees when an account goes: its own sockets close."""
    Profile.objects.create(user_id=NEWCOMER)
    ChatMember.objects.create(chat=world.short, user_id=NEWCOMER)


SAMPLES: dict[str, Sample] = {
    "account": Sample(lambda _w: User(id=NEWCOMER, username="newcomer"), ("email", "new@example.com"), known),
    "profile": Sample(profile, ("bio", "new")),
    "chat": Sample(lambda _w: Chat(id=900_002, title="new"), ("title", "other"), join),
    "member": Sample(lambda w: ChatMember(chat=w.short, user=w.david), ("role", "owner")),
    "message": Sample(lambda w: message(w.short, w.anna, 4), ("text", "other")),
    "read_mark": Sample(lambda w: ReadMark(user=w.anna, chat=w.long, number=1), ("number", 77)),
    "job": Sample(lambda w: Job(owner=w.anna, kind="data_report"), ("progress", 66)),
}


def values(made: Any) -> dict[str, Any]:
    """The columns that an INSERT needs, as the database takes them."""
    found = {}
    for field in made._meta.concrete_fields:
        value = getattr(made, field.attname)
        if isinstance(value, models.expressions.DatabaseDefault) or (field.primary_key and value is None):
            continue
        found[field.column] = field.get_db_prep_save(value, connection)
    return found


def insert(made: Any) -> None:
    row = values(made)
    columns = ", ".join(f'"{column}"' for column in row)
    sql(
        f"INSERT INTO {made._meta.db_table} ({columns}) VALUES ({', '.join(['%s'] * len(row))})",
        *row.values(),
    )


def copy(made: Any) -> None:
    row = values(made)
    columns = ", ".join(f'"{column}"' for column in row)
    with connection.cursor() as cursor, cursor.copy(f"COPY {made._meta.db_table} ({columns}) FROM STDIN") as stream:
        stream.write_row(list(row.values()))


def upsert(made: Any, field: str) -> None:
    made.save()
    setattr(made, field, SAMPLES[name_of(made)].field[1])
    type(made).objects.bulk_create([made], update_conflicts=True, update_fields=[field], unique_fields=["pk"])


def name_of(made: Any) -> str:
    return next(name for name, entity in registry.entities.items() if isinstance(made, entity.model))


INSERTS: dict[str, Callable[[Any, str], object]] = {
    "save": lambda made, _f: made.save(),
    "bulk_create": lambda made, _f: type(made).objects.bulk_create([made]),
    "upsert": upsert,
    "sql": lambda made, _f: insert(made),
    "copy": lambda made, _f: copy(made),
}


def bulk_update(made: Any, field: str, value: Any) -> None:
    setattr(made, field, value)
    type(made).objects.bulk_update([made], [field])


def save(made: Any, field: str, value: Any) -> None:
    setattr(made, field, value)
    made.save()


def of(made: Any) -> Any:
    return type(made).objects.filter(pk=made.pk)


def sql_update(made: Any, field: str, value: Any) -> None:
    pk = made._meta.pk.column
    sql(f'UPDATE {made._meta.db_table} SET "{field}" = %s WHERE "{pk}" = %s', value, made.pk)


CHANGES: dict[str, Callable[[Any, str, Any], object]] = {
    "save": save,
    "bulk_update": bulk_update,
    "update": lambda made, field, value: of(made).update(**{field: value}),
    "sql": sql_update,
    "delete": lambda made, _f, _v: made.delete(),
    "queryset delete": lambda made, _f, _v: of(made).delete(),
    "truncate": lambda made, _f, _v: truncate(made._meta.db_table),
}


@pytest.fixture
def newcomer(engine: Engine) -> Engine:
    engine.connect(NEWCOMER)
    return engine


def test_every_registered_type_has_a_sample() -> None:
    assert set(SAMPLES) == set(registry.entities)


@pytest.mark.parametrize("way", INSERTS)
@pytest.mark.parametrize("name", SAMPLES)
def test_new_rows(world: World, newcomer: Engine, name: str, way: str) -> None:
    sample = SAMPLES[name]
    with newcomer.verify(), transaction.atomic():
        made = sample.new(world)
        INSERTS[way](made, sample.field[0])
        sample.seen(world, made)


def test_an_emptied_table_of_accounts_closes_every_socket(newcomer: Engine) -> None:
    truncate(User._meta.db_table)
    newcomer.drain()
    closed = {client.user: client.closed for client in newcomer.clients if client.user != NEWCOMER}
    assert set(closed.values()) == {Close.SIGNED_OUT}


ROWS = [(name, way) for name in SAMPLES for way in CHANGES if (name, way) != ("account", "truncate")]


@pytest.mark.parametrize(("name", "way"), ROWS)
def test_rows_that_are_there(world: World, newcomer: Engine, name: str, way: str) -> None:
    sample = SAMPLES[name]
    made = sample.new(world)
    made.save()
    sample.seen(world, made)
    newcomer.drain()
    with newcomer.verify(), transaction.atomic():
        CHANGES[way](made, *sample.field)


def test_a_cascade_of_the_database_itself(world: World, engine: Engine) -> None:
    """One statement against the chat; Postgres deletes what refers to it."""
    tables = [m._meta.db_table for m in (ChatMember, Message, ReadMark)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype = 'f' AND confrelid = 'chat_chat'::regclass"
        )
        found = cursor.fetchall()
    assert {table for table, _, _ in found} == set(tables)

    def redefine(ending: str) -> None:
        for table, name, definition in found:
            sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {definition}{ending}")

    for table, name, definition in found:
        cascading = definition.replace(" DEFERRABLE", " ON DELETE CASCADE DEFERRABLE")
        assert cascading != definition
        sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {cascading}")
    try:
        with engine.verify():
            sql("DELETE FROM chat_chat WHERE id = %s", world.short.pk)
        assert not Message.objects.filter(chat=world.short).exists()
    finally:
        redefine("")


class GroupSerializer(serializers.ModelSerializer[Group]):
    class Meta:
        model = Group
        fields = ("id", "name")


@pytest.fixture
def grouped(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Groups are live too, and a relation of many to many says who sees them."""
    with monkeypatch.context() as registered:
        registered.setattr(registry, "entities", dict(registry.entities))
        registered.setattr(registry, "memberships", dict(registry.memberships))
        live.register(Group, serializer=GroupSerializer, scope="group:{id}")
        live.membership("group:{group_id}", User.groups.through.objects.values("group_id", viewer=F("user_id")))
        installing.install()
        yield
    installing.install()


M2M: dict[str, Callable[[User, Group, Group], object]] = {
    "add": lambda user, _one, two: user.groups.add(two),
    "remove": lambda user, one, _two: user.groups.remove(one),
    "set": lambda user, _one, two: user.groups.set([two]),
    "clear": lambda user, _one, _two: user.groups.clear(),
    "add from the other side": lambda user, _one, two: two.user_set.add(user),
    "remove from the other side": lambda user, one, _two: one.user_set.remove(user),
    "clear from the other side": lambda _user, one, _two: one.user_set.clear(),
    "delete": lambda _user, one, _two: one.delete(),
}


@pytest.mark.usefixtures("grouped")
@pytest.mark.parametrize("way", M2M)
def test_many_to_many(live_store: Callable[[], Store], way: str) -> None:
    user = person("emil")
    one, two = (Group.objects.create(name=name) for name in ("one", "two"))
    user.groups.add(one)
    engine = Engine(live_store)
    client = engine.connect(user.pk)
    assert f"group:{one.pk}" in set(client.store.scopes)
    with engine.verify():
        M2M[way](user, one, two)
