from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from stack.accounts.models import User
from stack.accounts.services import user_create
from stack.chat.models import LONGEST_TEXT, MOST_MEMBERS, Chat, Message
from stack.chat.services import chat_create

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> User:
    return user_create(username="anna", password=None)


@pytest.fixture
def ben() -> User:
    return user_create(username="ben", password=None)


@pytest.fixture
def chat(anna: User, ben: User) -> Chat:
    return chat_create(owner_id=anna.pk, title="chat", member_ids=[ben.pk])


@pytest.fixture
def client(anna: User) -> APIClient:
    client = APIClient()
    client.force_login(anna)
    return client


def test_a_chat_comes_with_its_members(client: APIClient, anna: User, ben: User) -> None:
    made = client.post("/api/chats", {"title": "both", "members": [ben.pk]}).json()
    assert set(made) == {"id", "title", "last_number", "created_at", "members"}
    assert [(m["user"], m["role"], m["chat"]) for m in made["members"]] == [
        (anna.pk, "owner", made["id"]),
        (ben.pk, "member", made["id"]),
    ]
    assert client.get(f"/api/chats/{made['id']}").json() == made
    assert client.get("/api/chats").json() == [made]
    renamed = client.patch(f"/api/chats/{made['id']}", {"title": "renamed"}).json()
    assert renamed == made | {"title": "renamed"}


def test_listing_chats_takes_as_many_queries_however_many_there_are(client: APIClient, anna: User, ben: User) -> None:
    counts = []
    for _ in range(2):
        for _ in range(5):
            chat_create(owner_id=anna.pk, member_ids=[ben.pk])
        with CaptureQueriesContext(connection) as queries:
            client.get("/api/chats")
        counts.append(len(queries))
    assert counts == [4, 4]


def test_sending_again_answers_200_with_the_same_body(
    client: APIClient, chat: Chat, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    path = f"/api/chats/{chat.pk}/messages"
    body = {"client_id": str(uuid.uuid4()), "text": "  hello  "}
    with django_assert_num_queries(11):
        first = client.post(path, body)
    again = client.post(path, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["text"] == "  hello  "
    assert set(first.json()) == {"id", "chat", "sender", "client_id", "number", "text", "created_at"}
    assert client.post(path, body | {"text": "other"}).status_code == 409
    other = chat_create(owner_id=first.json()["sender"])
    assert client.post(f"/api/chats/{other.pk}/messages", body).status_code == 409


@pytest.mark.parametrize("text", ["", "   ", "x" * (LONGEST_TEXT + 1), None, ["x"], {"x": 1}])
def test_texts_that_are_refused(client: APIClient, chat: Chat, text: object) -> None:
    response = client.post(f"/api/chats/{chat.pk}/messages", {"client_id": str(uuid.uuid4()), "text": text})
    assert response.status_code == (201 if text == "   " else 400)


def test_the_longest_text(client: APIClient, chat: Chat) -> None:
    text = "\U0001f600" * LONGEST_TEXT
    response = client.post(f"/api/chats/{chat.pk}/messages", {"client_id": str(uuid.uuid4()), "text": text})
    assert response.status_code == 201
    assert response.json()["text"] == text


def test_pages_of_messages(client: APIClient, chat: Chat, anna: User) -> None:
    Message.objects.bulk_create(
        Message(chat=chat, sender=anna, number=number, text=str(number)) for number in range(1, 121)
    )

    def numbers(query: str) -> list[int]:
        return [m["number"] for m in client.get(f"/api/chats/{chat.pk}/messages{query}").json()]

    assert numbers("") == list(range(120, 70, -1))
    assert numbers("?before=71") == list(range(70, 20, -1))
    assert numbers("?before=21") == list(range(20, 0, -1))
    assert numbers("?before=1") == []


def test_a_read_mark(
    client: APIClient, chat: Chat, anna: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.post(f"/api/chats/{chat.pk}/messages", {"client_id": str(uuid.uuid4()), "text": "hello"})
    path = f"/api/chats/{chat.pk}/read"
    with django_assert_num_queries(9):
        mark = client.put(path, {"number": 1}).json()
    assert {name: mark[name] for name in ("user", "chat", "number")} == {
        "user": anna.pk,
        "chat": chat.pk,
        "number": 1,
    }
    assert client.put(path, {"number": 0}).json() == mark
    assert client.put(path, {"number": 2}).status_code == 400
    assert client.put(path, {"number": -1}).status_code == 400


def test_members_come_and_go(client: APIClient, chat: Chat, ben: User) -> None:
    clara = user_create(username="clara", password=None)
    path = f"/api/chats/{chat.pk}/members"
    added = client.post(path, {"user": clara.pk})
    assert (added.status_code, added.json()["role"]) == (201, "member")
    again = client.post(path, {"user": clara.pk})
    assert (again.status_code, again.json()) == (200, added.json())
    assert client.delete(f"{path}/{clara.pk}").status_code == 204
    assert client.delete(f"{path}/{clara.pk}").status_code == 404
    assert client.post(path, {"user": 10**9}).status_code == 400


def test_a_full_chat_takes_nobody(client: APIClient, anna: User, ben: User) -> None:
    ids = [user.pk for user in User.objects.bulk_create(User(username=f"user-{i}") for i in range(MOST_MEMBERS))]
    assert client.post("/api/chats", {"members": [*ids, ben.pk]}).status_code == 400
    refused = client.post("/api/chats", {"members": ids})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:stack:problem:too_many_members")
    chat = client.post("/api/chats", {"members": [anna.pk, *ids[1:]]}).json()
    refused = client.post(f"/api/chats/{chat['id']}/members", {"user": ben.pk})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:stack:problem:too_many_members")
