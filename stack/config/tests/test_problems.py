"""Whatever goes wrong below /api/, the answer is a problem document."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django import Settings
from rest_framework.test import APIClient

from stack.accounts import selectors
from stack.accounts.services import user_create
from stack.accounts.throttling import SignInThrottle
from stack.config.parsers import MOST_BYTES

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def client() -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_login(user_create(username="anna", password="secret"))
    return client


def is_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "private, no-store"
    assert int(response.get("Content-Length", len(response.content))) == len(response.content)
    document: dict[str, Any] = json.loads(response.content)
    assert document["type"] == f"urn:stack:problem:{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize("debug", [True, False])
def test_unknown_address(client: APIClient, settings: Settings, debug: bool) -> None:
    settings.DEBUG = debug
    is_problem(client.get("/api/nothing"), 404, "not_found")


def test_other_addresses_keep_their_pages(client: APIClient) -> None:
    response = client.get("/nothing")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_unknown_object(client: APIClient) -> None:
    is_problem(client.get("/api/chats/1"), 404, "not_found")


@pytest.mark.parametrize("number", [2**63, 10**30, 10**400])
def test_numbers_beyond_the_database(client: APIClient, number: int) -> None:
    is_problem(client.get(f"/api/chats/{number}"), 404, "not_found")
    is_problem(client.get(f"/api/jobs/{number}"), 404, "not_found")
    is_problem(client.post("/api/chats", {"members": [number]}), 400, "validation_error")


def test_anonymous() -> None:
    response = APIClient().get("/api/chats")
    is_problem(response, 401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Session"


def test_csrf_in_a_view() -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user_create(username="ben", password="secret"))
    is_problem(client.post("/api/chats", {}), 403, "permission_denied")


def test_csrf_of_the_anonymous_at_sign_in() -> None:
    user_create(username="ben", password="secret")
    client = APIClient(enforce_csrf_checks=True)
    body = {"username": "ben", "password": "secret"}
    is_problem(client.post("/api/session", body), 403, "permission_denied")
    token = client.get("/api/session").cookies["csrftoken"].value
    assert client.post("/api/session", body, HTTP_X_CSRFTOKEN=token).status_code == 200


@pytest.mark.parametrize(
    "body",
    ["{", "[" * 100_000, '"\\', b"\xff", b"\xef\xbb\xbf{}", "NaN", "1" * 5000],
    ids=["half", "deep", "string", "no utf-8", "bom", "nan", "digits"],
)
def test_no_json(client: APIClient, body: Any) -> None:
    is_problem(client.generic("POST", "/api/jobs", body, content_type=JSON), 400, "parse_error")


@pytest.mark.parametrize("body", ["null", "[]", '"text"', "7"])
def test_json_but_no_object(client: APIClient, body: str) -> None:
    document = is_problem(client.generic("POST", "/api/jobs", body, content_type=JSON), 400, "validation_error")
    assert [error["field"] for error in document["errors"]] == [None]


def test_bad_input_names_each_field(client: APIClient) -> None:
    chat = client.post("/api/chats", {"title": "chat"}).json()
    response = client.post(f"/api/chats/{chat['id']}/messages", {"client_id": "x"})
    document = is_problem(response, 400, "validation_error")
    assert {(error["field"], error["code"]) for error in document["errors"]} == {
        ("client_id", "invalid"),
        ("text", "required"),
    }


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800"], ids=["nul", "lone surrogate"])
def test_text_that_the_database_refuses(client: APIClient, text: str) -> None:
    body = f'{{"bio": "{text}"}}'
    response = client.generic("PATCH", "/api/profile", body, content_type=JSON)
    document = is_problem(response, 400, "validation_error")
    assert document["errors"][0]["field"] == "bio"


def test_bad_query(client: APIClient) -> None:
    chat = client.post("/api/chats", {"title": "chat"}).json()
    document = is_problem(client.get(f"/api/chats/{chat['id']}/messages?before=x"), 400, "validation_error")
    assert document["errors"][0]["field"] == "before"


def test_conflict(client: APIClient) -> None:
    chat = client.post("/api/chats", {"title": "chat"}).json()
    owner = chat["members"][0]["user"]
    is_problem(client.delete(f"/api/chats/{chat['id']}/members/{owner}"), 409, "owner_stays")


def test_method(client: APIClient) -> None:
    response = client.put("/api/jobs", {})
    is_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_accept(client: APIClient) -> None:
    is_problem(client.get("/api/jobs", HTTP_ACCEPT="text/html"), 406, "not_acceptable")


def test_too_large(client: APIClient) -> None:
    body = json.dumps("x" * MOST_BYTES)
    is_problem(client.generic("POST", "/api/jobs", body, content_type=JSON), 413, "payload_too_large")


def test_much_too_large() -> None:
    body = "x" * 3_000_000
    client = APIClient(raise_request_exception=False)
    is_problem(client.generic("POST", "/api/session", body, content_type=JSON), 413, "payload_too_large")


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_missing_slash(client: APIClient, settings: Settings, method: str, debug: bool) -> None:
    settings.DEBUG = debug
    is_problem(client.generic(method, "/api/schema", "{}", content_type=JSON), 404, "not_found")
    assert client.get("/admin")["Location"] == "/admin/"


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_media_type(client: APIClient, content_type: str) -> None:
    response = client.generic("POST", "/api/jobs", "{}", content_type=content_type)
    is_problem(response, 415, "unsupported_media_type")


def test_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SignInThrottle, "rate", "1/min", raising=False)
    body = {"username": secrets.token_hex(8), "password": "wrong"}
    is_problem(APIClient().post("/api/session", body), 401, "wrong_credentials")
    response = APIClient().post("/api/session", body)
    is_problem(response, 429, "throttled")
    assert 0 < int(response["Retry-After"]) <= 60


def test_refused_host(client: APIClient) -> None:
    is_problem(client.get("/api/jobs", HTTP_HOST="evil.example"), 400, "bad_request")


@pytest.mark.parametrize("debug", [True, False])
def test_failure_of_a_view(client: APIClient, monkeypatch: pytest.MonkeyPatch, settings: Settings, debug: bool) -> None:
    settings.DEBUG = debug

    def fail(_: int) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr(selectors, "profile_of", fail)
    document = is_problem(client.get("/api/profile"), 500, "error")
    assert "secret" not in str(document)


def test_failure_outside_of_views(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr("django.contrib.auth.middleware.AuthenticationMiddleware.process_request", fail)
    document = is_problem(client.get("/api/profile"), 500, "error")
    assert "secret" not in str(document)


def test_database_away(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OperationalError("connection refused at 10.1.2.3")

    monkeypatch.setattr(selectors, "profile_of", fail)
    response = client.get("/api/profile")
    document = is_problem(response, 503, "service_unavailable")
    assert "10.1.2.3" not in str(document)
    assert response["Retry-After"] == "1"
