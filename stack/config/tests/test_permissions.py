"""Every route and method of the API x everyone who may ask: a route without a row fails."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from stack.accounts.models import User
from stack.accounts.services import user_create
from stack.chat.models import Chat, Message
from stack.chat.services import chat_create, message_send
from stack.jobs.models import Job

ROLES = ("anonymous", "stranger", "member", "owner", "admin")


@dataclass
class World:
    users: dict[str, User]
    chat: Chat
    message: Message
    job: Job

    def ids(self) -> dict[str, int]:
        return {
            "chat_id": self.chat.pk,
            "user_id": self.users["member"].pk,
            "message_id": self.message.pk,
            "job_id": self.job.pk,
        }

    def client(self, role: str) -> APIClient:
        client = APIClient()
        if role in self.users:
            client.force_login(self.users[role])
        return client


@dataclass(frozen=True)
class Row:
    """A request, and the status that each of ROLES gets."""

    method: str
    route: str
    expected: tuple[int, int, int, int, int]
    body: Callable[[World], Any] = field(default=lambda world: None)

    def __str__(self) -> str:
        return f"{self.method} {self.route}"


def new_message(world: World) -> dict[str, str]:
    return {"client_id": str(uuid.uuid4()), "text": "hello"}


ROWS = [
    Row("GET", "api/session", (200, 200, 200, 200, 200)),
    Row(
        "POST",
        "api/session",
        (200, 200, 200, 200, 200),
        lambda w: {"username": "stranger", "password": "secret-of-stranger"},
    ),
    Row("DELETE", "api/session", (204, 204, 204, 204, 204)),
    Row("GET", "api/profile", (401, 200, 200, 200, 200)),
    Row("PATCH", "api/profile", (401, 200, 200, 200, 200), lambda w: {"bio": "hello"}),
    Row("GET", "api/profiles", (401, 200, 200, 200, 200)),
    Row("GET", "api/people", (401, 200, 200, 200, 200)),
    Row("GET", "api/chats", (401, 200, 200, 200, 200)),
    Row("POST", "api/chats", (401, 201, 201, 201, 201), lambda w: {"title": "new", "members": []}),
    Row("GET", "api/chats/<int:chat_id>", (401, 404, 200, 200, 404)),
    Row("PATCH", "api/chats/<int:chat_id>", (401, 404, 403, 200, 404), lambda w: {"title": "new"}),
    Row("DELETE", "api/chats/<int:chat_id>", (401, 404, 403, 204, 404)),
    Row(
        "POST",
        "api/chats/<int:chat_id>/members",
        (401, 404, 403, 201, 404),
        lambda w: {"user": w.users["stranger"].pk},
    ),
    Row("DELETE", "api/chats/<int:chat_id>/members/<int:user_id>", (401, 404, 204, 204, 404)),
    Row("GET", "api/chats/<int:chat_id>/messages", (401, 404, 200, 200, 404)),
    Row("POST", "api/chats/<int:chat_id>/messages", (401, 404, 201, 201, 404), new_message),
    Row("DELETE", "api/chats/<int:chat_id>/messages/<int:message_id>", (401, 404, 204, 403, 404)),
    Row("PUT", "api/chats/<int:chat_id>/read", (401, 404, 200, 200, 404), lambda w: {"number": 1}),
    Row("GET", "api/jobs", (401, 200, 200, 200, 200)),
    Row("POST", "api/jobs", (401, 201, 201, 201, 201), lambda w: {"kind": "data_report"}),
    Row("GET", "api/jobs/<int:job_id>", (401, 404, 404, 200, 404)),
    Row("GET", "api/schema/", (200, 200, 200, 200, 200)),
    Row("GET", "api/docs/", (200, 200, 200, 200, 200)),
]
# A snapshot reads in a transaction of its own, so that these need real commits.
COMMITTED_ROWS = [
    Row("GET", "api/live/snapshot", (401, 200, 200, 200, 200)),
    Row("POST", "api/live/snapshot", (401, 200, 200, 200, 200), lambda w: {"bounds": {}}),
]


def routes() -> Iterator[tuple[str, str]]:
    """Method and address of everything below /api/, as the URL configuration says."""

    def walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, route)
            elif isinstance(pattern, URLPattern) and route.startswith("api/"):
                view = getattr(pattern.callback, "cls", None)
                assert view is not None, f"{route} is no API view"
                for method in ("get", "post", "put", "patch", "delete"):
                    if hasattr(view, method):
                        yield method.upper(), route

    return walk(get_resolver().url_patterns, "")


def make_world() -> World:
    users = {
        role: user_create(username=role, password=f"secret-of-{role}", is_admin=role == "admin") for role in ROLES[1:]
    }
    chat = chat_create(owner_id=users["owner"].pk, title="chat", member_ids=[users["member"].pk])
    message, _ = message_send(chat_id=chat.pk, sender_id=users["member"].pk, client_id=uuid.uuid4(), text="hello")
    job = Job.objects.create(owner=users["owner"], kind=Job.Kind.DATA_REPORT)
    return World(users, chat, message, job)


def ask(world: World, row: Row, role: str) -> int:
    path = row.route.replace("<int:", "{").replace(">", "}").format(**world.ids())
    client = world.client(role)
    return int(client.generic(row.method, f"/{path}", *as_json(row.body(world))).status_code)


def as_json(body: Any) -> tuple[Any, ...]:
    return () if body is None else (json.dumps(body), "application/json")


def test_every_route_has_a_row() -> None:
    assert sorted(routes()) == sorted((row.method, row.route) for row in ROWS + COMMITTED_ROWS)


@pytest.mark.django_db
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_who_may(row: Row) -> None:
    world = make_world()
    found = {}
    for role in ROLES:
        with transaction.atomic():
            found[role] = ask(world, row, role)
            transaction.set_rollback(True)
    assert found == dict(zip(ROLES, row.expected, strict=True))


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("row", COMMITTED_ROWS, ids=str)
def test_who_may_with_commits(row: Row) -> None:
    world = make_world()
    found = {role: ask(world, row, role) for role in ROLES}
    assert found == dict(zip(ROLES, row.expected, strict=True))
