"""Snapshot + events == fresh snapshot: every live model x every kind of write x who gained or lost access around it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction

from stack.accounts.models import Profile, User
from stack.chat.models import Chat, ChatMember, Message, ReadMark
from stack.jobs.models import Job
from stack.live.testing import Engine, Store

pytestmark = pytest.mark.usefixtures("transactional_db")


@dataclass
class World:
    """Two chats with one person in both, and one person in neither.

    `long` has more messages than a window holds, so that ops below the bound occur.
    """

    anna: User
    ben: User
    clara: User
    david: User
    short: Chat
    long: Chat


def person(name: str) -> User:
    user = User.objects.create(username=name, email=f"{name}@example.com", password=make_password(None))
    Profile.objects.create(user=user, first_name=name.title())
    return user


def message(chat: Chat, sender: User, number: int, text: str = "hello") -> Message:
    return Message(chat=chat, sender=sender, number=number, text=text, client_id=uuid.uuid4())


@pytest.fixture
def world(transactional_db: None) -> World:
    anna, ben, clara, david = (person(name) for name in ("anna", "ben", "clara", "david"))
    short, long = (
        Chat.objects.create(title="short", last_number=3),
        Chat.objects.create(title="long", last_number=60),
    )
    for chat, user in ((short, anna), (short, ben), (long, ben), (long, clara)):
        ChatMember.objects.create(chat=chat, user=user)
    Message.objects.bulk_create([message(short, anna, n) for n in range(1, 4)])
    Message.objects.bulk_create([message(long, ben, n) for n in range(1, 61)])
    ReadMark.objects.create(user=anna, chat=short, number=1)
    Job.objects.create(owner=anna, kind="data_report")
    return World(anna, ben, clara, david, short, long)


@pytest.fixture
def engine(world: World, live_store: Callable[[], Store]) -> Engine:
    engine = Engine(live_store)
    for user in (world.anna, world.ben, world.clara, world.david):
        engine.connect(user.pk)
    return engine


def sql(text: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)


def truncate(table: str) -> None:
    # Postgres refuses to truncate while checks of foreign keys wait for the commit.
    sql(f"SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE {table} CASCADE")


def copy_messages(world: World) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY chat_message (chat_id, sender_id, client_id, number, text) FROM STDIN") as copy,
    ):
        for number in (4, 5):
            copy.write_row((world.short.pk, world.anna.pk, str(uuid.uuid4()), number, "copied"))


def save(instance: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(instance, name, value)
    instance.save()


def bulk_update(rows: Any, **values: Any) -> None:
    instances = list(rows)
    for instance in instances:
        for name, value in values.items():
            setattr(instance, name, value)
    type(instances[0]).objects.bulk_update(instances, list(values))


def upsert(model: Any, rows: list[Any], *, update: list[str], unique: list[str]) -> None:
    model.objects.bulk_create(rows, update_conflicts=True, update_fields=update, unique_fields=unique)


def first_message(world: World) -> Message:
    return Message.objects.filter(chat=world.short).earliest("number")


def chats_of(*people: User) -> None:
    chats = Chat.objects.bulk_create([Chat(title="one"), Chat(title="two")])
    ChatMember.objects.bulk_create([ChatMember(chat=chat, user=user) for chat in chats for user in people])


Write = Callable[[World], object]

WRITES: dict[str, Write] = {
    "profile save": lambda w: save(w.ben.profile, first_name="Benedict"),
    "profile update": lambda w: Profile.objects.filter(user=w.ben).update(bio="new"),
    "profile bulk_update": lambda w: bulk_update(Profile.objects.all(), last_name="Same"),
    "profile delete": lambda w: w.ben.profile.delete(),
    "profile queryset delete": lambda w: Profile.objects.filter(user__in=[w.anna, w.ben]).delete(),
    "profile bulk_create": lambda w: (
        Profile.objects.filter(user=w.ben).delete(),
        Profile.objects.bulk_create([Profile(user=w.ben, first_name="Again")]),
    ),
    "profile upsert": lambda w: upsert(
        Profile, [Profile(user=w.ben, first_name="Up")], update=["first_name"], unique=["user"]
    ),
    "profile sql": lambda w: sql("UPDATE accounts_profile SET bio = 'sql' WHERE user_id = %s", w.ben.pk),
    "profile truncate": lambda _w: truncate("accounts_profile"),
    "account save": lambda w: save(w.ben, email="ben@example.org"),
    "account update": lambda _w: User.objects.update(is_staff=True),
    "account sql": lambda w: sql("UPDATE accounts_user SET username = 'benny' WHERE id = %s", w.ben.pk),
    "account delete cascades": lambda w: w.ben.delete(),
    "account delete cascades to its jobs": lambda w: User.objects.filter(pk=w.anna.pk).delete(),
    "chat save": lambda w: save(w.short, title="renamed"),
    "chat update": lambda _w: Chat.objects.update(title="all"),
    "chat bulk_update": lambda _w: bulk_update(Chat.objects.all(), title="bulk"),
    "chat delete cascades": lambda w: w.short.delete(),
    "chat queryset delete": lambda w: Chat.objects.filter(pk=w.long.pk).delete(),
    "chat sql": lambda w: sql("UPDATE chat_chat SET last_number = 99 WHERE id = %s", w.short.pk),
    "chat truncate cascades": lambda _w: truncate("chat_chat"),
    "chat bulk_create": lambda w: chats_of(w.anna, w.david),
    "member save": lambda w: save(ChatMember.objects.get(chat=w.short, user=w.ben), role="owner"),
    "member create": lambda w: ChatMember.objects.create(chat=w.short, user=w.david),
    "member bulk_create": lambda w: ChatMember.objects.bulk_create(
        [ChatMember(chat=c, user=w.david) for c in (w.short, w.long)]
    ),
    "member bulk_update": lambda _w: bulk_update(ChatMember.objects.all(), role="owner"),
    "member update": lambda w: ChatMember.objects.filter(chat=w.short).update(role="owner"),
    "member delete": lambda w: ChatMember.objects.get(chat=w.short, user=w.ben).delete(),
    "member queryset delete": lambda w: ChatMember.objects.filter(user=w.ben).delete(),
    "member moves to another chat": lambda w: ChatMember.objects.filter(user=w.anna).update(chat=w.long),
    "member becomes another user": lambda w: ChatMember.objects.filter(user=w.anna).update(user=w.david),
    "member sql": lambda w: sql(
        "INSERT INTO chat_chatmember (chat_id, user_id, role) VALUES (%s, %s, 'member')",
        w.long.pk,
        w.david.pk,
    ),
    "member truncate": lambda _w: truncate("chat_chatmember"),
    "message save": lambda w: save(first_message(w), text="edited"),
    "message create": lambda w: message(w.short, w.ben, 4).save(),
    "message bulk_create": lambda w: Message.objects.bulk_create([message(w.long, w.ben, n) for n in range(61, 70)]),
    "message bulk_update": lambda w: bulk_update(Message.objects.filter(chat=w.short), text="bulk"),
    "message update": lambda _w: Message.objects.update(text="all"),
    "message delete": lambda w: first_message(w).delete(),
    "message queryset delete": lambda w: Message.objects.filter(chat=w.long, number__gt=30).delete(),
    "message moves to another chat": lambda w: Message.objects.filter(chat=w.short, number=3).update(
        chat=w.long, number=61
    ),
    "message moves below the bound": lambda w: Message.objects.filter(chat=w.long, number=60).update(number=0),
    "message moves above the bound": lambda w: Message.objects.filter(chat=w.long, number=1).update(number=61),
    "message changes its key": lambda w: Message.objects.filter(chat=w.short, number=1).update(id=10_000),
    "message upsert": lambda w: upsert(
        Message,
        [Message(chat=w.short, sender=w.anna, number=1, text="up", client_id=uuid.uuid4())],
        update=["text"],
        unique=["chat", "number"],
    ),
    "message sql": lambda w: sql("UPDATE chat_message SET text = text || '!' WHERE chat_id = %s", w.short.pk),
    "message sql delete": lambda w: sql("DELETE FROM chat_message WHERE chat_id = %s AND number > 1", w.short.pk),
    "member sql delete": lambda w: sql("DELETE FROM chat_chatmember WHERE user_id = %s", w.ben.pk),
    "message copy": copy_messages,
    "message truncate": lambda _w: truncate("chat_message"),
    "message too many": lambda w: Message.objects.bulk_create([message(w.short, w.ben, n) for n in range(4, 604)]),
    "read mark save": lambda w: save(ReadMark.objects.get(user=w.anna), number=3),
    "read mark upsert": lambda w: upsert(
        ReadMark, [ReadMark(user=w.anna, chat=w.short, number=2)], update=["number"], unique=["user", "chat"]
    ),
    "read mark delete": lambda _w: ReadMark.objects.all().delete(),
    "job save": lambda w: save(Job.objects.get(owner=w.anna), progress=40, state="running"),
    "job bulk_create": lambda w: Job.objects.bulk_create([Job(owner=u, kind="data_report") for u in (w.anna, w.david)]),
    "job bulk_update": lambda _w: bulk_update(Job.objects.all(), progress=70),
    "job update": lambda _w: Job.objects.update(progress=50),
    "job delete": lambda w: Job.objects.get(owner=w.anna).delete(),
    "job changes its owner": lambda w: Job.objects.update(owner=w.david),
    "job sql": lambda _w: sql("UPDATE jobs_job SET progress = 99"),
}

NOTHING: dict[str, Write] = {
    "empty update": lambda _w: Message.objects.filter(pk=-1).update(text="x"),
    "empty delete": lambda _w: Message.objects.filter(pk=-1).delete(),
    "same value": lambda w: save(w.short, title="short"),
    "column that is not synced": lambda w: User.objects.filter(pk=w.anna.pk).update(last_login="2020-01-01T00:00Z"),
    "rolled back": lambda w: rolled_back(w),
}


def rolled_back(world: World) -> None:
    with transaction.atomic():
        save(world.short, title="never")
        transaction.set_rollback(True)


def gains(world: World) -> None:
    ChatMember.objects.get_or_create(chat=world.short, user=world.clara)


def loses(world: World) -> None:
    ChatMember.objects.filter(chat=world.short, user=world.anna).delete()


def nothing(_world: World) -> None:
    pass


AROUND: dict[str, tuple[Write, Write]] = {
    "same audience": (nothing, nothing),
    "gained before": (gains, nothing),
    "gained after": (nothing, gains),
    "lost before": (loses, nothing),
    "lost after": (nothing, loses),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("write", WRITES)
def test_every_write_reaches_every_client(world: World, engine: Engine, write: str, around: str) -> None:
    before, after = AROUND[around]
    with engine.verify(), transaction.atomic():
        before(world)
        WRITES[write](world)
        if Chat.objects.filter(pk=world.short.pk).exists() and User.objects.filter(pk=world.clara.pk).exists():
            after(world)


@pytest.mark.parametrize("write", WRITES)
def test_events_of_one_write_at_a_time(world: World, engine: Engine, write: str) -> None:
    """The audience changed in a batch of its own before, and changes back in one after."""
    with engine.verify():
        gains(world)
    with engine.verify():
        WRITES[write](world)
    with engine.verify():
        person("emil")
        Profile.objects.update(bio="after all")
        if not Profile.objects.filter(user=world.david).exists():
            Profile.objects.create(user=world.david)


@pytest.mark.parametrize("write", NOTHING)
def test_what_changes_nothing_makes_no_event(world: World, engine: Engine, write: str) -> None:
    with engine.verify(silent=True):
        NOTHING[write](world)
