from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction

from stack.accounts.models import User
from stack.accounts.services import user_create
from stack.chat import errors, services
from stack.chat.models import LONGEST_TEXT, MOST_MEMBERS, Chat, ChatMember, Message, ReadMark

pytestmark = pytest.mark.django_db


@dataclass
class World:
    owner: User
    member: User
    stranger: User
    chat: Chat

    def send(self, client_id: uuid.UUID | None = None, text: str = "hello", **changes: Any) -> tuple[Message, bool]:
        values = {"chat_id": self.chat.pk, "sender_id": self.member.pk} | changes
        return services.message_send(client_id=client_id or uuid.uuid4(), text=text, **values)


def make_world() -> World:
    owner, member, stranger = (user_create(username=name, password=None) for name in ("owner", "member", "stranger"))
    return World(owner, member, stranger, services.chat_create(owner_id=owner.pk, member_ids=[member.pk]))


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def committed_world(transactional_db: None) -> World:
    return make_world()


@pytest.fixture
def together() -> Callable[[list[Callable[[], Any]]], list[Any]]:
    """Run functions at the same moment, each with a database connection of its own."""

    def run(functions: list[Callable[[], Any]]) -> list[Any]:
        barrier = threading.Barrier(len(functions))

        def one(function: Callable[[], Any]) -> Any:
            barrier.wait(timeout=10)
            try:
                return function()
            except errors.ChatError as error:
                return type(error)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(functions)) as pool:
            return list(pool.map(one, functions))

    return run


def test_the_creator_owns_and_is_in_it_once(world: World) -> None:
    chat = services.chat_create(owner_id=world.owner.pk, member_ids=[world.owner.pk, world.member.pk, world.member.pk])
    members = {member.user_id: member.role for member in chat.members.all()}
    assert members == {world.owner.pk: "owner", world.member.pk: "member"}


def test_nobody_unknown_or_disabled_is_added(world: World) -> None:
    User.objects.filter(pk=world.stranger.pk).update(is_active=False)
    for user_id in (world.stranger.pk, 10**9):
        with pytest.raises(errors.UnknownUsers):
            services.chat_create(owner_id=world.owner.pk, member_ids=[user_id])
        with pytest.raises(errors.UnknownUsers):
            services.member_add(chat_id=world.chat.pk, by=world.owner.pk, user_id=user_id)
    assert Chat.objects.count() == 1


def test_adding_again_is_harmless(world: World) -> None:
    member, created = services.member_add(chat_id=world.chat.pk, by=world.owner.pk, user_id=world.stranger.pk)
    assert created
    assert services.member_add(chat_id=world.chat.pk, by=world.owner.pk, user_id=world.stranger.pk) == (
        member,
        False,
    )
    assert services.member_add(chat_id=world.chat.pk, by=world.owner.pk, user_id=world.owner.pk)[0].role == "owner"


def test_a_chat_has_at_most_so_many_members(world: World) -> None:
    others = User.objects.bulk_create(User(username=f"user-{i}") for i in range(MOST_MEMBERS))
    ids = [user.pk for user in others]
    with pytest.raises(errors.TooManyMembers):
        services.chat_create(owner_id=world.owner.pk, member_ids=ids)
    chat = services.chat_create(owner_id=world.owner.pk, member_ids=ids[1:])
    assert chat.members.count() == MOST_MEMBERS == 50
    with pytest.raises(errors.TooManyMembers):
        services.member_add(chat_id=chat.pk, by=world.owner.pk, user_id=ids[0])
    # Adding again stays harmless, and whoever leaves makes room.
    assert not services.member_add(chat_id=chat.pk, by=world.owner.pk, user_id=ids[1])[1]
    services.member_remove(chat_id=chat.pk, by=ids[1], user_id=ids[1])
    assert services.member_add(chat_id=chat.pk, by=world.owner.pk, user_id=ids[0])[1]


def test_only_the_owner_removes_others_and_stays(world: World) -> None:
    with pytest.raises(errors.NotAllowed):
        services.member_remove(chat_id=world.chat.pk, by=world.member.pk, user_id=world.owner.pk)
    with pytest.raises(errors.OwnerStays):
        services.member_remove(chat_id=world.chat.pk, by=world.owner.pk, user_id=world.owner.pk)
    with pytest.raises(errors.NotFound):
        services.member_remove(chat_id=world.chat.pk, by=world.owner.pk, user_id=world.stranger.pk)
    world.send()
    services.mark_read(chat_id=world.chat.pk, user_id=world.member.pk, number=1)
    services.member_remove(chat_id=world.chat.pk, by=world.owner.pk, user_id=world.member.pk)
    assert [member.user_id for member in ChatMember.objects.all()] == [world.owner.pk]
    assert not ReadMark.objects.exists()
    with pytest.raises(errors.NotFound):
        world.send()


def test_messages_are_numbered_by_chat(world: World) -> None:
    other = services.chat_create(owner_id=world.member.pk)
    numbers = [world.send()[0].number, world.send(chat_id=other.pk)[0].number, world.send()[0].number]
    assert numbers == [1, 1, 2]
    world.chat.refresh_from_db()
    assert world.chat.last_number == 2


def test_sending_again_gives_the_same_message(world: World) -> None:
    client_id = uuid.uuid4()
    first, created = world.send(client_id)
    assert created
    assert world.send(client_id) == (first, False)
    world.chat.refresh_from_db()
    assert world.chat.last_number == 1
    # The id is the sender's own.
    second, created = world.send(client_id, sender_id=world.owner.pk)
    assert created
    assert second.number == 2


def test_an_id_belongs_to_one_text_in_one_chat(world: World) -> None:
    other = services.chat_create(owner_id=world.member.pk)
    client_id = uuid.uuid4()
    world.send(client_id)
    with pytest.raises(errors.ClientIdTaken):
        world.send(client_id, text="other")
    with pytest.raises(errors.ClientIdTaken):
        world.send(client_id, chat_id=other.pk)
    other.refresh_from_db()
    assert other.last_number == 0


def test_strangers_send_nothing(world: World) -> None:
    with pytest.raises(errors.NotFound):
        world.send(sender_id=world.stranger.pk)
    with pytest.raises(errors.NotFound):
        world.send(chat_id=10**9)
    assert not Message.objects.exists()


@pytest.mark.parametrize("text", ["", "x" * (LONGEST_TEXT + 1)])
def test_the_database_refuses_such_texts_too(world: World, text: str) -> None:
    with pytest.raises(IntegrityError, match="chat_message_text"):
        world.send(text=text)


def test_the_same_message_at_the_same_moment_is_sent_once(committed_world: World, together: Any) -> None:
    for _ in range(5):
        client_id = uuid.uuid4()
        first, second = together([lambda: committed_world.send(client_id)] * 2)  # noqa: B023
        assert first[0] == second[0]
        assert {first[1], second[1]} == {True, False}
    assert list(Message.objects.order_by("number").values_list("number", flat=True)) == [1, 2, 3, 4, 5]


def test_the_same_id_in_two_chats_at_the_same_moment(committed_world: World, together: Any) -> None:
    world = committed_world
    other = services.chat_create(owner_id=world.member.pk)
    for _ in range(5):
        client_id = uuid.uuid4()
        results = together(
            [lambda: world.send(client_id), lambda: world.send(client_id, chat_id=other.pk)]  # noqa: B023
        )
        assert results.count(errors.ClientIdTaken) == 1
        assert Message.objects.filter(client_id=client_id).count() == 1
    for chat in Chat.objects.all():
        assert chat.last_number == chat.messages.count()


def test_numbers_have_no_holes_when_many_send(committed_world: World, together: Any) -> None:
    world = committed_world
    together(
        [
            lambda: [world.send() for _ in range(5)],
            lambda: [world.send(sender_id=world.owner.pk) for _ in range(5)],
        ]
    )
    numbers = list(Message.objects.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, 11))
    world.chat.refresh_from_db()
    assert world.chat.last_number == 10


def test_only_the_sender_deletes(world: World) -> None:
    message, _ = world.send()
    with pytest.raises(errors.NotAllowed):
        services.message_delete(chat_id=world.chat.pk, by=world.owner.pk, message_id=message.pk)
    other = services.chat_create(owner_id=world.member.pk)
    with pytest.raises(errors.NotFound):
        services.message_delete(chat_id=other.pk, by=world.member.pk, message_id=message.pk)
    services.message_delete(chat_id=world.chat.pk, by=world.member.pk, message_id=message.pk)
    assert world.send()[0].number == 2


def test_who_writes_has_read_what_came_before(world: World) -> None:
    world.send(sender_id=world.owner.pk)
    world.send(sender_id=world.member.pk)
    marks = dict(world.chat.read_marks.values_list("user", "number"))
    assert marks == {world.owner.pk: 1, world.member.pk: 2}


def test_a_read_mark_never_goes_back(world: World) -> None:
    for _ in range(3):
        world.send(sender_id=world.owner.pk)
    for number, expected in ((2, 2), (1, 2), (2, 2), (3, 3), (0, 3)):
        mark = services.mark_read(chat_id=world.chat.pk, user_id=world.member.pk, number=number)
        assert mark.number == expected
    with pytest.raises(errors.BeyondLastMessage):
        services.mark_read(chat_id=world.chat.pk, user_id=world.member.pk, number=4)
    assert ReadMark.objects.filter(user=world.member).count() == 1


def test_read_marks_at_the_same_moment(committed_world: World, together: Any) -> None:
    world = committed_world
    for _ in range(4):
        world.send(sender_id=world.owner.pk)

    def mark(number: int) -> Callable[[], Any]:
        return lambda: services.mark_read(chat_id=world.chat.pk, user_id=world.member.pk, number=number)

    together([mark(4), mark(2), mark(3), mark(1)])
    assert ReadMark.objects.get(user=world.member).number == 4


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], Any], Callable[[], Any]], Any]]:
    """Do the first while the second is under way, which began before the first was committed."""
    pool = ThreadPoolExecutor(1)

    def second(function: Callable[[], Any]) -> Any:
        try:
            return function()
        except errors.ChatError as error:
            return type(error)
        finally:
            connections.close_all()

    def run(first: Callable[[], Any], then: Callable[[], Any]) -> Any:
        with transaction.atomic():
            first()
            future = pool.submit(second, then)
            deadline = time.monotonic() + 10
            while not (future.done() or somebody_waits_for_a_lock()):
                assert time.monotonic() < deadline, "the second neither ended nor waits"
        return future.result(10)

    yield run
    pool.shutdown()


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock')"
        )
        (found,) = cursor.fetchone()
    return bool(found)


def test_who_is_being_removed_leaves_no_read_mark(committed_world: World, meanwhile: Any) -> None:
    world = committed_world
    world.send()
    found = meanwhile(
        lambda: services.member_remove(chat_id=world.chat.pk, by=world.owner.pk, user_id=world.member.pk),
        lambda: services.mark_read(chat_id=world.chat.pk, user_id=world.member.pk, number=1),
    )
    assert found is errors.NotFound
    assert not ReadMark.objects.exists()


@pytest.mark.parametrize("what", ["read", "send", "add"])
def test_a_chat_that_is_being_deleted_takes_nothing_more(committed_world: World, meanwhile: Any, what: str) -> None:
    world = committed_world
    world.send()
    chat_id = world.chat.pk
    then: dict[str, Callable[[], Any]] = {
        "read": lambda: services.mark_read(chat_id=chat_id, user_id=world.member.pk, number=1),
        "send": world.send,
        "add": lambda: services.member_add(chat_id=chat_id, by=world.owner.pk, user_id=world.stranger.pk),
    }
    assert meanwhile(lambda: services.chat_delete(chat_id=chat_id, by=world.owner.pk), then[what]) is errors.NotFound
    assert not Chat.objects.exists()


def test_a_chat_is_deleted_with_what_is_being_written_into_it(committed_world: World, meanwhile: Any) -> None:
    world = committed_world
    world.send()
    found = meanwhile(
        lambda: services.mark_read(chat_id=world.chat.pk, user_id=world.member.pk, number=1),
        lambda: services.chat_delete(chat_id=world.chat.pk, by=world.owner.pk),
    )
    assert found is None
    assert not Chat.objects.exists()
    assert not ReadMark.objects.exists()


def test_strangers_mark_nothing_read(world: World) -> None:
    for chat_id, user_id in ((world.chat.pk, world.stranger.pk), (10**9, world.member.pk)):
        with pytest.raises(errors.NotFound):
            services.mark_read(chat_id=chat_id, user_id=user_id, number=0)
    assert not ReadMark.objects.exists()


def test_deleting_takes_all_with_it(world: World) -> None:
    world.send()
    with pytest.raises(errors.NotAllowed):
        services.chat_delete(chat_id=world.chat.pk, by=world.member.pk)
    services.chat_delete(chat_id=world.chat.pk, by=world.owner.pk)
    assert not Chat.objects.exists()
    assert not Message.objects.exists()
