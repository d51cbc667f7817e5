"""A database filled by `populate`: what sending one by one would have left, and nothing for a relay to chew."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Count, F, Max, Min
from django.utils import timezone
from pytest_django import Settings

from stack.accounts.crowd import DOMAIN
from stack.accounts.models import Profile, User
from stack.accounts.services import user_create
from stack.chat.models import LONGEST_TEXT, MOST_MEMBERS, Chat, ChatMember, Message, ReadMark
from stack.config.environment import StackEnv
from stack.config.populating import OTHERS, populate
from stack.config.seeding import seed
from stack.live import log, memberships
from stack.live.models import Event, MembershipRow, Outbox
from stack.live.relay import schema_hash

pytestmark = pytest.mark.usefixtures("transactional_db")
UNTIL = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def before() -> list[int]:
    """The ids of the chats that the seed makes."""
    seed(demo_passwords=True)
    return list(Chat.objects.values_list("pk", flat=True))


def filled(*, chats: int = 40, messages: int = 1500, number: int = 1) -> list[Chat]:
    known = set(Chat.objects.values_list("pk", flat=True))
    populate(chats=chats, messages=messages, seed=number, until=UNTIL)
    return list(Chat.objects.exclude(pk__in=known).order_by("pk"))


def content(chats: list[Chat]) -> list[Any]:
    """All that was made, with names and places instead of ids."""
    return [
        (
            chat.title,
            chat.created_at,
            list(chat.members.order_by("pk").values_list("user__username", "role", "joined_at")),
            list(chat.messages.order_by("number").values_list("number", "sender__username", "text", "created_at")),
            list(chat.read_marks.order_by("user__username").values_list("user__username", "number")),
        )
        for chat in chats
    ]


def test_as_many_as_asked_for(before: list[int]) -> None:
    out = StringIO()
    call_command("populate", "--chats", "12", "--messages", "345", "--seed", "7", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"seed": 7, "chats": 12, "messages": 345, "people": 10 + OTHERS}
    assert Chat.objects.exclude(pk__in=before).count() == 12
    assert Message.objects.exclude(chat__in=before).count() == 345
    assert User.objects.filter(email__endswith=DOMAIN).count() == OTHERS
    assert Profile.objects.filter(user__email__endswith=DOMAIN).exclude(last_name="").count() == OTHERS


def test_chats_are_as_the_services_would_have_left_them(before: list[int]) -> None:
    chats = filled()
    for chat in chats:
        members = list(chat.members.all())
        assert 2 <= len(members) <= MOST_MEMBERS
        assert [member.role for member in members].count(ChatMember.Role.OWNER) == 1
        users = {member.user_id for member in members}
        messages = list(chat.messages.order_by("number"))
        assert [message.number for message in messages] == list(range(1, chat.last_number + 1))
        assert {message.sender_id for message in messages} <= users
        sent = [chat.created_at, *(message.created_at for message in messages), UNTIL]
        assert sent == sorted(sent)
        assert all(member.joined_at <= messages[0].created_at for member in members)
        own: dict[int, int] = {message.sender_id: message.number for message in messages}
        marks = {mark.user_id: mark.number for mark in chat.read_marks.all()}
        assert set(own) <= set(marks) <= users
        assert all(own.get(user, 1) <= number <= chat.last_number for user, number in marks.items())
    lengths = Message.objects.aggregate(shortest=Min("text__length"), longest=Max("text__length"))
    assert 1 <= lengths["shortest"] < 3
    assert 500 < lengths["longest"] <= LONGEST_TEXT


def test_pages_look_busy(before: list[int]) -> None:
    chats = filled(chats=100, messages=3000)
    ids = [chat.pk for chat in chats]
    of_seeded = ChatMember.objects.filter(chat__in=ids, user__email__endswith="@example.org")
    assert min(Counter(of_seeded.values_list("user_id", flat=True)).values()) >= 5
    assert not of_seeded.filter(user__username="admin").exists()
    unread = ReadMark.objects.filter(chat__in=ids, number__lt=F("chat__last_number")).count()
    assert 0.1 < unread / ReadMark.objects.filter(chat__in=ids).count() < 0.6
    ended = Chat.objects.filter(pk__in=ids).aggregate(
        first=Min("messages__created_at"), last=Max("messages__created_at")
    )
    assert UNTIL - ended["last"] < timedelta(hours=1)
    assert ended["last"] - ended["first"] > timedelta(weeks=4)
    texts = "".join(Message.objects.filter(chat__in=ids).values_list("text", flat=True))
    assert all(any(low <= char <= high for char in texts) for low, high in ("ая", "את", "اي", "一龥", "😀🙏"))
    pairs = Counter(
        tuple(chat.members.order_by("user_id").values_list("user_id", flat=True))
        for chat in Chat.objects.annotate(size=Count("members")).filter(size=2, title="")
    )
    assert set(pairs.values()) == {1}


def test_the_same_seed_makes_the_same(before: list[int]) -> None:
    first = content(filled())
    Chat.objects.exclude(pk__in=before).delete()
    assert content(filled()) == first
    Chat.objects.exclude(pk__in=before).delete()
    assert content(filled(number=2)) != first


def test_a_second_time_adds_chats_between_the_same_people(before: list[int]) -> None:
    filled(chats=5, messages=50)
    filled(chats=5, messages=50)
    assert Chat.objects.count() == len(before) + 10
    assert User.objects.filter(email__endswith=DOMAIN).count() == OTHERS


def test_fewer_messages_than_chats_leave_some_chats_empty(before: list[int]) -> None:
    counts = [chat.last_number for chat in filled(chats=10, messages=3)]
    assert sum(counts) == 3
    assert 0 in counts


def test_a_relay_has_nothing_to_chew_and_nothing_is_missing(before: list[int]) -> None:
    filled()
    assert not Outbox.objects.exists()
    assert not Event.objects.exists()
    with connection.cursor() as cursor:
        head = log.read_head(cursor)
        user = User.objects.get(username="alice").pk
        stored = set(MembershipRow.objects.filter(viewer=user).values_list("scope", flat=True))
        assert stored | {f"user:{user}", "everyone"} == memberships.scopes_of(cursor, user)
        cursor.execute("SELECT schema_hash FROM live_head")
        # Another hash would begin another epoch as soon as a relay takes the lead.
        assert cursor.fetchone() == (schema_hash(),)
    assert head.epoch


def test_production_is_refused(before: list[int], settings: Settings) -> None:
    settings.STACK_ENV = StackEnv.PRODUCTION
    with pytest.raises(CommandError, match="production"):
        call_command("populate")
    assert Chat.objects.count() == len(before)


def test_a_database_without_test_users_is_refused() -> None:
    with pytest.raises(CommandError, match=r"manage\.py seed"):
        call_command("populate")


def test_a_database_of_other_people_is_refused() -> None:
    user_create(username="somebody", password=None)
    with pytest.raises(CommandError, match="did not make"):
        call_command("populate")
    assert not Chat.objects.exists()


@pytest.mark.parametrize("option", ["--chats", "--messages"])
@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_count_is_a_whole_number_above_0(option: str, value: str) -> None:
    with pytest.raises(CommandError, match="above 0"):
        call_command("populate", option, value)


def test_nobody_of_the_crowd_can_sign_in(before: list[int]) -> None:
    filled(chats=1, messages=1)
    crowd = User.objects.filter(email__endswith=DOMAIN)
    assert not any(user.has_usable_password() or user.is_staff for user in crowd)
    assert crowd.latest("date_joined").date_joined < timezone.now()
