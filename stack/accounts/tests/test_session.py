"""Signing in and out."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings
from redis import ConnectionError as RedisConnectionError
from rest_framework.test import APIClient

from stack.accounts.models import Session, User
from stack.accounts.services import user_create, user_set_active
from stack.accounts.sessions import SessionStore
from stack.accounts.throttling import SignInAddressThrottle, SignInThrottle

pytestmark = pytest.mark.django_db
CREDENTIALS = {"username": "anna", "password": "secret"}


@pytest.fixture
def anna() -> User:
    return user_create(username="anna", password="secret", email="anna@example.org", first_name="Anna")


def sign_in(client: APIClient, **body: str) -> Any:
    return client.post("/api/session", CREDENTIALS | body)


def test_who_is_signed_in(anna: User) -> None:
    client = APIClient()
    first = client.get("/api/session")
    assert first.json() == {"user": None}
    assert first.cookies["csrftoken"].value
    account = {"id": anna.pk, "username": "anna", "email": "anna@example.org", "is_staff": False}
    assert sign_in(client).json() == {"user": account}
    assert client.get("/api/session").json() == {"user": account}
    assert client.delete("/api/session").status_code == 204
    assert client.get("/api/session").json() == {"user": None}
    assert not Session.objects.exists()


def test_a_session_knows_its_user_and_signing_in_changes_its_key(anna: User) -> None:
    client = APIClient()
    store = SessionStore()
    store["before"] = 1
    store.create()
    assert store.session_key is not None
    client.cookies["sessionid"] = store.session_key
    assert Session.objects.get().user_id is None
    cookie = sign_in(client).cookies["sessionid"]
    session = Session.objects.get()
    assert session.user_id == anna.pk
    assert session.pk == cookie.value != store.session_key
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert session.get_decoded()["before"] == 1


def test_signing_in_again_changes_the_key(anna: User) -> None:
    client = APIClient()
    first = sign_in(client).cookies["sessionid"].value
    second = sign_in(client).cookies["sessionid"].value
    assert first != second
    assert [session.pk for session in Session.objects.all()] == [second]
    assert client.get("/api/session").json()["user"]["id"] == anna.pk


def test_disabling_ends_the_sessions(anna: User) -> None:
    client = APIClient()
    client.force_login(anna)
    APIClient().force_login(other := user_create(username="ben", password=None))
    user_set_active(user_id=anna.pk, active=False)
    assert [session.user_id for session in Session.objects.all()] == [other.pk]
    # One that began at the very moment.
    client.force_login(anna)
    user_set_active(user_id=anna.pk, active=True)
    assert client.get("/api/session").json() == {"user": None}
    assert sign_in(client).status_code == 200


def test_all_wrong_sign_ins_look_the_same(anna: User) -> None:
    user_create(username="disabled", password="secret")
    User.objects.filter(username="disabled").update(is_active=False)
    user_create(username="actor", password=None)
    answers = [
        sign_in(APIClient(), password="wrong"),
        sign_in(APIClient(), username="nobody"),
        sign_in(APIClient(), username="disabled"),
        sign_in(APIClient(), username="actor", password=""),
        sign_in(APIClient(), username="ANNA"),
    ]
    empty = answers.pop(3)
    assert empty.status_code == 400
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert not Session.objects.exists()


def unique() -> str:
    """Redis counts across tests and their runs."""
    return secrets.token_hex(8)


def test_guessing_is_slowed_down_for_each_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInThrottle, "rate", "2/min", raising=False)
    name, other = unique(), user_create(username=unique(), password="secret")
    assert [sign_in(APIClient(), username=name).status_code for _ in range(3)] == [401, 401, 429]
    # Read as the same name, so counted as the same.
    assert sign_in(APIClient(), username=f"  {name} ").status_code == 429
    assert sign_in(APIClient(), username=name.upper()).status_code == 429
    assert sign_in(APIClient(), username=other.username).status_code == 200
    # Who is signed in is asked all the time.
    assert [APIClient().get("/api/session").status_code for _ in range(3)] == [200, 200, 200]


def test_guessing_many_names_from_one_address_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInAddressThrottle, "rate", "2/min", raising=False)
    monkeypatch.setattr(SignInThrottle, "rate", "1000/min", raising=False)
    client = APIClient(REMOTE_ADDR=f"2001:db8::{secrets.token_hex(2)}:{secrets.token_hex(2)}")
    assert [sign_in(client, username=unique()).status_code for _ in range(3)] == [401, 401, 429]


ADMIN_LOGIN = "/admin/login/"


def admin_sign_in(client: Client, **fields: str) -> Any:
    return client.post(ADMIN_LOGIN, CREDENTIALS | fields)


def test_guessing_at_the_admin_counts_as_guessing_at_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInThrottle, "rate", "2/min", raising=False)
    name, other = unique(), user_create(username=unique(), password="secret", is_admin=True)
    assert sign_in(APIClient(), username=name).status_code == 401
    assert admin_sign_in(Client(), username=name).status_code == 200
    # Other spellings that the form reads as the same name, and the right password does not help either.
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in name)
    for spelling in (name, f" {name} ", name.upper(), wide):
        refused = admin_sign_in(Client(), username=spelling)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert f"Try again in {refused.headers['Retry-After']} second" in refused.content.decode()
    assert sign_in(APIClient(), username=name).status_code == 429
    # The form itself can be looked at as often as one likes.
    assert [Client().get(ADMIN_LOGIN).status_code for _ in range(3)] == [200, 200, 200]
    assert admin_sign_in(Client(), username=other.username).status_code == 302


def test_the_admin_does_not_sign_in_whom_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInThrottle, "rate", "1/min", raising=False)
    root = user_create(username=unique(), password="secret", is_admin=True).username
    answers = [admin_sign_in(Client(), username=root, password=word).status_code for word in ("wrong", "secret")]
    assert answers == [200, 429]
    assert not Session.objects.filter(user__isnull=False).exists()


def test_guessing_many_names_at_the_admin_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInAddressThrottle, "rate", "2/min", raising=False)
    monkeypatch.setattr(SignInThrottle, "rate", "1000/min", raising=False)
    client = Client(REMOTE_ADDR=f"2001:db8::{secrets.token_hex(2)}:{secrets.token_hex(2)}")
    assert [admin_sign_in(client, username=unique()).status_code for _ in range(3)] == [200, 200, 429]


def test_a_forwarded_address_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInThrottle, "rate", "1/min", raising=False)
    name = unique()
    clients = [APIClient(HTTP_X_FORWARDED_FOR=f"192.0.2.{i}") for i in range(2)]
    assert [sign_in(client, username=name).status_code for client in clients] == [401, 429]


def test_signing_in_works_and_is_counted_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def get(self, *_: Any) -> Any:
            raise RedisConnectionError

    monkeypatch.setattr(SignInAddressThrottle, "cache", Away())
    monkeypatch.setattr(SignInThrottle, "rate", "1/min", raising=False)
    name = user_create(username=unique(), password="secret").username
    assert [sign_in(APIClient(), username=name).status_code for _ in range(2)] == [200, 429]


def test_other_session_engines_are_refused(settings: Settings) -> None:
    assert "accounts.E001" not in {message.id for message in run_checks()}
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert "accounts.E001" in {message.id for message in run_checks()}


def test_a_user_of_another_making_has_a_blank_profile() -> None:
    call_command("createsuperuser", username="root", email="", interactive=False, verbosity=0)
    client = APIClient()
    root = User.objects.get(username="root")
    client.force_login(root)
    blank = {"user": root.pk, "first_name": "", "last_name": "", "bio": ""}
    assert client.get("/api/profile").json() == blank
    assert client.patch("/api/profile", {"bio": "hello"}).json() == blank | {"bio": "hello"}
    assert client.get("/api/profile").json() == blank | {"bio": "hello"}
