"""The live endpoint of a real server, by raw WebSocket: what it refuses, and with which code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from harness.actors.http import SESSION_COOKIE, Http
from harness.play.observers import Observers
from harness.stack import RunningStack
from harness.tests import raw
from harness.tests.raw import HELLO, closed_with, until

Session = Callable[[str], str]


@pytest.fixture
def sign_in(stack: RunningStack) -> Iterator[Callable[[str], Http]]:
    opened: list[Http] = []

    def signed_in(name: str) -> Http:
        person = next(user for user in stack.users if user.name == name)
        http = Http(stack.urls.app, observer=Observers())
        opened.append(http)
        http.json("GET", "/api/session")
        http.json("POST", "/api/session", {"username": person.name, "password": person.password})
        return http

    yield signed_in
    for http in opened:
        http.close()


@contextmanager
def socket(
    stack: RunningStack, http: Http | None = None, *, cookie: str | None = None, **options: Any
) -> Iterator[ClientConnection]:
    with raw.socket(stack.urls.app, cookie if http is None else http.cookies[SESSION_COOKIE], **options) as client:
        yield client


def test_a_signed_in_client_is_welcomed(stack: RunningStack, sign_in: Callable[[str], Http]) -> None:
    with socket(stack, sign_in("alice")) as client:
        assert client.subprotocol == "live.v1"
        client.send(HELLO)
        assert until(client, "welcome")["resumed"] is False
        assert until(client, "snapshot")["scopes"]
        assert until(client, "heartbeat")["seq"] >= 0


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "https://127.0.0.1",
        "http://127.0.0.1:1",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example:8000",
    ],
)
def test_a_foreign_or_missing_origin_is_refused_at_the_handshake(
    stack: RunningStack, sign_in: Callable[[str], Http], origin: str | None
) -> None:
    with pytest.raises(InvalidStatus) as raised, socket(stack, sign_in("alice"), origin=origin):
        pass
    assert raised.value.response.status_code == 403


def test_no_session_closes_with_4401(stack: RunningStack) -> None:
    with socket(stack) as client:
        assert closed_with(client) == 4401


@pytest.mark.parametrize("cookie", ["x" * 32, "", "../etc", "a" * 500, "%00"])
def test_a_made_up_session_closes_with_4401(stack: RunningStack, cookie: str) -> None:
    with socket(stack, cookie=cookie) as client:
        assert closed_with(client) == 4401


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 4400),
        ("[]", 4400),
        (b"\x00\x01", 4400),
        ('{"type":"load","id":1,"scope":"chat:1"}', 4400),
        ('{"type":"dance"}', 4404),
        ("x" * 70_000, 1009),
    ],
    ids=["no json", "no object", "binary", "no hello first", "unknown type", "oversized"],
)
def test_a_bad_first_frame_has_its_code(
    stack: RunningStack, sign_in: Callable[[str], Http], frame: str | bytes, code: int
) -> None:
    with socket(stack, sign_in("alice")) as client:
        client.send(frame)
        assert closed_with(client) == code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("nonsense", 4400),
        (HELLO, 4400),
        ('{"type":"dance"}', 4404),
        ('{"type":"load","id":"x","scope":"chat:1"}', 4400),
        ("x" * 70_000, 1009),
    ],
    ids=["no json", "second hello", "unknown type", "bad field", "oversized"],
)
def test_a_bad_later_frame_has_its_code(
    stack: RunningStack, sign_in: Callable[[str], Http], frame: str, code: int
) -> None:
    with socket(stack, sign_in("alice")) as client:
        client.send(HELLO)
        until(client, "heartbeat")
        client.send(frame)
        assert closed_with(client) == code


def test_a_client_that_says_nothing_is_closed_with_4408(stack: RunningStack, sign_in: Callable[[str], Http]) -> None:
    with socket(stack, sign_in("alice")) as client:
        assert closed_with(client) == 4408


@pytest.mark.parametrize("cursor", [{"epoch": "forged", "seq": 5}, {"epoch": "x", "seq": 2**63 - 1}])
def test_a_forged_cursor_gets_a_snapshot(
    stack: RunningStack, sign_in: Callable[[str], Http], cursor: dict[str, Any]
) -> None:
    with socket(stack, sign_in("alice")) as client:
        client.send(json.dumps({"type": "hello", "cursor": cursor}))
        assert until(client, "welcome")["resumed"] is False
        until(client, "snapshot")


def test_a_true_cursor_resumes(stack: RunningStack, sign_in: Callable[[str], Http]) -> None:
    http = sign_in("alice")
    with socket(stack, http) as client:
        client.send(HELLO)
        beat = until(client, "heartbeat")
    with socket(stack, http) as client:
        client.send(json.dumps({"type": "hello", "cursor": {"epoch": beat["epoch"], "seq": beat["seq"]}}))
        assert until(client, "welcome")["resumed"] is True


def test_a_strangers_scope_is_not_loaded(stack: RunningStack, sign_in: Callable[[str], Http]) -> None:
    alice, bob = sign_in("alice"), sign_in("bob")
    me = bob.json("GET", "/api/session")["user"]["id"]
    chat = bob.json("POST", "/api/chats", {"title": "not for alice", "members": []})["id"]
    with socket(stack, alice) as client:
        client.send(HELLO)
        until(client, "heartbeat")
        for number, scope in enumerate([f"chat:{chat}", f"user:{me}", "chat:x", "chat:1:2", "nothing"]):
            client.send(json.dumps({"type": "load", "id": number, "scope": scope}))
            assert until(client, "scope")["window"] is None, scope
            before = [10**6, 1]
            page = {"type": "page", "id": number, "scope": scope, "entity": "message", "before": before}
            client.send(json.dumps(page))
            assert until(client, "page")["items"] == [], scope


def test_signing_out_closes_the_sockets_of_that_session_alone(
    stack: RunningStack, sign_in: Callable[[str], Http]
) -> None:
    phone, desk = sign_in("alice"), sign_in("alice")
    with socket(stack, phone) as ended, socket(stack, desk) as stays:
        for client in (ended, stays):
            client.send(HELLO)
            until(client, "heartbeat")
        phone.json("DELETE", "/api/session")
        assert closed_with(ended) == 4401
        stays.send('{"type":"load","id":1,"scope":"chat:0"}')
        assert until(stays, "scope")["window"] is None
