from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks

from stack.accounts.models import Profile, Session, User
from stack.accounts.services import user_create
from stack.chat.models import Chat, ChatMember, Message, ReadMark
from stack.chat.services import chat_create, mark_read, message_send
from stack.jobs import services as jobs
from stack.jobs.models import Job

pytestmark = pytest.mark.django_db
MODELS = [User, Group, Profile, Chat, ChatMember, Message, ReadMark, Job]


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(user_create(username="admin", password="secret", is_admin=True))
    return client


@pytest.fixture
def chat() -> Chat:
    anna = user_create(username="anna", password="secret")
    ben = user_create(username="ben", password="secret")
    chat = chat_create(owner_id=anna.pk, title="chat", member_ids=[ben.pk])
    message_send(chat_id=chat.pk, sender_id=anna.pk, client_id=uuid.uuid4(), text="hello")
    mark_read(chat_id=chat.pk, user_id=ben.pk, number=1)
    Job.objects.create(owner=anna, kind=Job.Kind.DATA_REPORT)
    Group.objects.create(name="group")
    return chat


def url(model: type[Model], page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def test_all_models_are_there() -> None:
    assert set(admin.site._registry) == set(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_pages_open(client: Client, chat: Chat, model: type[Model]) -> None:
    row = model._default_manager.order_by("pk")[0]
    for path in (
        url(model, "changelist") + "?q=a",
        url(model, "add"),
        url(model, "change", row.pk),
        url(model, "history", row.pk),
        url(model, "delete", row.pk),
    ):
        response = client.get(path)
        assert response.status_code == 200, path


@pytest.mark.parametrize("model", MODELS)
def test_nobody_else_may(chat: Chat, model: type[Model]) -> None:
    client = Client()
    client.force_login(User.objects.get(username="anna"))
    assert client.get(url(model, "changelist")).status_code == 302


def test_a_profile_is_edited(client: Client, chat: Chat) -> None:
    anna = User.objects.get(username="anna")
    response = client.post(url(Profile, "change", anna.pk), {"first_name": "Anna", "last_name": "", "bio": ""})
    assert response.status_code == 302
    assert Profile.objects.get(pk=anna.pk).first_name == "Anna"
    assert Profile.objects.count() == 3


def test_a_new_user_has_a_profile(client: Client) -> None:
    body = {"username": "carl", "usable_password": "true", "password1": "x4!kLm9pQ", "password2": "x4!kLm9pQ"}
    assert client.post(url(User, "add"), body).status_code == 302
    assert Profile.objects.filter(user__username="carl").exists()


def test_sessions_of_a_disabled_user_stay_ended(client: Client, chat: Chat) -> None:
    anna = User.objects.get(username="anna")
    browser = Client()
    browser.force_login(anna)
    body = {"username": "anna", "email": ""}
    assert client.post(url(User, "change", anna.pk), body | {"is_active": "on"}).status_code == 302
    assert browser.get("/api/profile").status_code == 200
    assert client.post(url(User, "change", anna.pk), body).status_code == 302
    assert not User.objects.get(pk=anna.pk).is_active
    assert not Session.objects.filter(user=anna).exists()
    assert client.post(url(User, "change", anna.pk), body | {"is_active": "on"}).status_code == 302
    assert User.objects.get(pk=anna.pk).is_active
    assert browser.get("/api/profile").status_code == 401


def test_a_new_message_takes_the_next_number(client: Client, chat: Chat) -> None:
    anna = User.objects.get(username="anna")
    body = {"chat": chat.pk, "sender": anna.pk, "client_id": str(uuid.uuid4()), "text": "from the admin"}
    assert client.post(url(Message, "add"), body).status_code == 302
    chat.refresh_from_db()
    assert Message.objects.get(text="from the admin").number == chat.last_number == 2


def test_a_moved_message_takes_a_number_of_its_new_chat(client: Client, chat: Chat) -> None:
    message = Message.objects.get()
    other = chat_create(owner_id=message.sender_id)
    message_send(chat_id=other.pk, sender_id=message.sender_id, client_id=uuid.uuid4(), text="first")
    body = {
        "chat": other.pk,
        "sender": message.sender_id,
        "client_id": str(message.client_id),
        "text": message.text,
    }
    assert client.post(url(Message, "change", message.pk), body).status_code == 302
    message.refresh_from_db()
    assert (message.chat_id, message.number) == (other.pk, 2)


def test_a_new_job_goes_to_a_worker(
    client: Client,
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(jobs, "_send", lambda job_id, _kind: sent.append(job_id))
    anna = User.objects.get(username="anna")
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(url(Job, "add"), {"owner": anna.pk, "kind": "data_report"})
    assert response.status_code == 302
    assert sent == [Job.objects.order_by("-pk")[0].pk]


def test_signing_out_everywhere(client: Client, chat: Chat) -> None:
    anna = User.objects.get(username="anna")
    for _ in range(2):
        Client().force_login(anna)
    body = {"action": "sign_out_everywhere", "_selected_action": [anna.pk]}
    response = client.post(url(User, "changelist"), body, follow=True)
    assert "Sessions ended: 2" in response.content.decode()
    assert not Session.objects.filter(user=anna).exists()
    assert Session.objects.count() == 1
