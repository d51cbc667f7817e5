"""Profiles, people and simulated people."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.contrib.auth import get_user
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from stack.accounts.models import Profile, Session, User
from stack.accounts.services import profile_update, user_create
from stack.accounts.sessions import SessionStore
from stack.chat.services import chat_create, member_remove

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> User:
    return user_create(username="anna", password=None, first_name="Anna")


@pytest.fixture
def client(anna: User) -> APIClient:
    client = APIClient()
    client.force_login(anna)
    return client


def seen(client: APIClient) -> list[int]:
    return [profile["user"] for profile in client.get("/api/profiles").json()]


def test_profile_fields_cannot_be_someone_elses(client: APIClient, anna: User) -> None:
    other = user_create(username="ben", password=None)
    changed = client.patch("/api/profile", {"user": other.pk, "first_name": "Anne"}).json()
    assert changed == {"user": anna.pk, "first_name": "Anne", "last_name": "", "bio": ""}
    assert Profile.objects.get(pk=other.pk).first_name == ""


def test_profiles_of_who_shares_a_chat(
    client: APIClient, anna: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ben, clara = (user_create(username=name, password=None) for name in ("ben", "clara"))
    assert seen(client) == [anna.pk]
    chat = chat_create(owner_id=ben.pk, member_ids=[anna.pk])
    assert seen(client) == [anna.pk, ben.pk]
    chat_create(owner_id=ben.pk, member_ids=[clara.pk])
    for _ in range(3):
        chat_create(owner_id=anna.pk, member_ids=[clara.pk])
    with django_assert_num_queries(4):
        assert seen(client) == [anna.pk, ben.pk, clara.pk]
    member_remove(chat_id=chat.pk, by=anna.pk, user_id=anna.pk)
    assert seen(client) == [anna.pk, clara.pk]


def test_people_are_found_by_name(client: APIClient, anna: User) -> None:
    for i in range(60):
        user_create(username=f"person-{i:02}", password=None)
    user_create(username="disabled", password=None)
    User.objects.filter(username="disabled").update(is_active=False)
    assert client.get("/api/people?search=ANN").json() == [{"id": anna.pk, "username": "anna"}]
    assert client.get("/api/people?search=disabled").json() == []
    assert client.get("/api/people?search=%25").json() == []
    everyone = [person["username"] for person in client.get("/api/people").json()]
    assert everyone == ["anna", *(f"person-{i:02}" for i in range(49))]


def test_an_email_address_belongs_to_one_user() -> None:
    user_create(username="one", password=None, email="one@example.org")
    user_create(username="two", password=None)
    user_create(username="three", password=None)
    with pytest.raises(IntegrityError):
        user_create(username="four", password=None, email="ONE@example.org")


def test_profile_update_makes_a_missing_one(anna: User) -> None:
    Profile.objects.all().delete()
    assert profile_update(user_id=anna.pk, bio="hello").bio == "hello"


def test_actors_are_signed_in(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    out = StringIO()
    # Three of them write; the others are the transaction's own.
    with django_assert_num_queries(5):
        call_command("actors", count=20, json=True, stdout=out)
    actors = json.loads(out.getvalue())
    assert len(actors) == 20
    assert set(actors[0]) == {"name", "user", "session", "role"}
    assert {actor["role"] for actor in actors} == {"user"}
    assert len({actor["session"] for actor in actors}) == 20
    assert Profile.objects.count() == 20
    assert len(set(User.objects.values_list("password", flat=True))) == 20
    assert not any(user.has_usable_password() for user in User.objects.all())
    for actor in actors:
        assert Session.objects.get(pk=actor["session"]).user_id == actor["user"]
    client = APIClient()
    client.cookies["sessionid"] = actors[7]["session"]
    assert client.get("/api/session").json()["user"]["username"] == actors[7]["name"]


def test_an_actors_session_ends_with_a_new_password() -> None:
    out = StringIO()
    call_command("actors", count=1, json=True, stdout=out)
    (actor,) = json.loads(out.getvalue())
    user = User.objects.get(pk=actor["user"])
    user.set_password("new")
    user.save()
    request = RequestFactory().get("/")
    request.session = SessionStore(actor["session"])
    assert get_user(request).is_anonymous


def test_actors_again_are_others() -> None:
    for _ in range(2):
        call_command("actors", count=2, stdout=StringIO())
    assert User.objects.count() == 4


def test_sessions_are_printed_only_when_asked() -> None:
    out = StringIO()
    call_command("actors", count=1, stdout=out)
    assert Session.objects.get().pk not in out.getvalue()


@pytest.mark.parametrize("count", [0, -1])
def test_a_senseless_number_of_actors(count: int) -> None:
    with pytest.raises(CommandError, match="at least 1"):
        call_command("actors", count=count)


def test_actors_are_refused_in_production(settings: Settings) -> None:
    settings.STACK_ENV = "production"
    with pytest.raises(CommandError, match="not made in production"):
        call_command("actors", count=1, json=True)
    assert not User.objects.exists()
