from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from stack.accounts.models import User
from stack.accounts.services import user_create
from stack.chat.services import chat_create, message_send
from stack.pages.front import Front
from stack.pages.tests.wire import no_django, write_build


@dataclass
class World:
    """A chat of 55 messages with a member, one of 3 with the same member, and the sessions of some people."""

    chat: int
    other: int
    users: dict[str, User]
    sessions: dict[str, str | None]


@pytest.fixture
def world(transactional_db: None) -> World:
    users = {
        name: user_create(username=name, password=f"secret-of-{name}", is_admin=name == "admin")
        for name in ("owner", "member", "stranger", "admin")
    }
    chats = []
    for title, count in (("long", 55), ("short", 3)):
        chat = chat_create(owner_id=users["owner"].pk, title=title, member_ids=[users["member"].pk])
        for number in range(1, count + 1):
            message_send(chat_id=chat.pk, sender_id=users["owner"].pk, client_id=uuid.uuid4(), text=f"{title} {number}")
        chats.append(chat.pk)
    sessions: dict[str, str | None] = {"anonymous": None}
    for name, user in users.items():
        client = Client()
        client.force_login(user)
        sessions[name] = client.session.session_key
    return World(chats[0], chats[1], users, sessions)


@pytest.fixture
def new_front(settings: Settings, tmp_path: Path) -> Callable[..., Front]:
    """Makes a front with a build, unless told otherwise, and these renderers."""

    def make(*renderers: str, build: bool = True) -> Front:
        settings.RENDERER_URLS = list(renderers)
        settings.FRONTEND_DEV_URL = None
        settings.FRONTEND_BUILD = str(write_build(tmp_path)) if build else None
        return Front(no_django)

    return make
