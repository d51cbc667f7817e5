"""Snapshots: windows with sizes of their own, and how rows are written."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from stack.accounts.models import User
from stack.accounts.services import user_create
from stack.chat.models import Chat, Message
from stack.chat.services import chat_create
from stack.jobs.models import Job
from stack.live.registry import registry
from stack.live.snapshot import Windows, read_snapshot

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def anna(transactional_db: None) -> User:
    return user_create(username="anna", password="secret-of-anna")


def chat_of(user: User, *, messages: int) -> Chat:
    chat = chat_create(owner_id=user.pk, title=f"{messages}", member_ids=[])
    Message.objects.bulk_create(
        Message(chat=chat, sender=user, number=number, text="hello", client_id=uuid.uuid4())
        for number in range(1, messages + 1)
    )
    return chat


def held(snapshot: dict[str, Any], chat: Chat) -> tuple[list[int], int | None]:
    """The numbers of a chat's messages, and the bound's."""
    window = snapshot["scopes"][f"chat:{chat.pk}"]
    bound = window["bounds"]["message"]
    return [message["number"] for message in window["entities"]["message"]], bound and bound[0]


def test_each_scope_has_its_own_size(anna: User) -> None:
    long, short, one, none = (chat_of(anna, messages=count) for count in (60, 3, 1, 0))
    snapshot = read_snapshot(anna.pk, windows=({f"chat:{long.pk}": 50, f"chat:{none.pk}": 50}, 1))
    assert held(snapshot, long) == (list(range(11, 61)), 11)
    assert held(snapshot, short) == ([3], 3)
    assert held(snapshot, one) == ([1], None)
    assert held(snapshot, none) == ([], None)


def test_a_window_that_just_fits_has_no_bound(anna: User) -> None:
    chat = chat_of(anna, messages=3)
    assert held(read_snapshot(anna.pk, windows=({}, 3)), chat) == ([1, 2, 3], None)
    assert held(read_snapshot(anna.pk, windows=({}, 2)), chat) == ([2, 3], 2)


def test_without_sizes_it_is_what_the_type_says(anna: User) -> None:
    chat = chat_of(anna, messages=52)
    assert held(read_snapshot(anna.pk), chat) == (list(range(3, 53)), 3)


def test_a_clients_own_bound_goes_before_sizes(anna: User) -> None:
    chat, other = chat_of(anna, messages=5), chat_of(anna, messages=5)
    message = Message.objects.get(chat=chat, number=2)
    bounds = {f"chat:{chat.pk}": {"message": [2, message.pk]}}
    snapshot = read_snapshot(anna.pk, bounds=bounds, windows=({}, 1))
    assert held(snapshot, chat) == ([2, 3, 4, 5], 2)
    assert held(snapshot, other) == ([5], 5)


def test_sizes_cost_no_query_more(anna: User) -> None:
    first = chat_of(anna, messages=3)
    chat_of(anna, messages=3)

    def queries(windows: Windows | None) -> int:
        with CaptureQueriesContext(connection) as captured:
            read_snapshot(anna.pk, windows=windows)
        return len(captured)

    assert queries(None) == queries(({f"chat:{first.pk}": 2}, 1)) == queries(({}, 50))


def test_a_snapshot_holds_what_serializers_would_write(anna: User) -> None:
    chat = chat_of(anna, messages=2)
    Job.objects.create(owner=anna, kind="data_report", result={"a": [1, None]})
    Job.objects.create(owner=anna, kind="data_report")
    scopes = read_snapshot(anna.pk)["scopes"]
    for scope in (f"user:{anna.pk}", f"profile:{anna.pk}", f"chat:{chat.pk}"):
        for entity in registry.entities_of(scope):
            rows = entity.model._base_manager.order_by("pk")
            expected = [{"id": row.pk, **entity.serializer(row).data} for row in rows]
            assert scopes[scope]["entities"][entity.name] == expected, entity.name
            assert rows or entity.name == "read_mark"
