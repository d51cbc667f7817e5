"""Cookies of a server in production, whose names begin with __Host-."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.actors import web
from harness.actors.device import Part
from harness.actors.http import Http
from harness.actors.web import WebActor
from harness.play.deliveries import Deliveries
from harness.play.people import Person
from harness.tests.observing import Seen

BASE = "https://stack.example"


class Server:
    """Signs in whoever asks, with cookies of the given names."""

    def __init__(self, session: str, csrf: str) -> None:
        self.session = session
        self.csrf = csrf
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        headers = [("Set-Cookie", f"{self.csrf}=the-token; Path=/; Secure; SameSite=Lax")]
        signed_in = f"{self.session}=" in request.headers.get("Cookie", "")
        if request.method == "POST":
            headers.append(("Set-Cookie", f"{self.session}=the-key; Path=/; Secure; HttpOnly"))
            signed_in = True
        return httpx.Response(200, json={"user": {"id": 7} if signed_in else None}, headers=headers)


@pytest.fixture(
    params=[("__Host-sessionid", "csrftoken"), ("__Host-sessionid", "__Host-csrftoken"), ("sessionid", "csrftoken")]
)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server(*request.param)
    client = functools.partial(httpx.Client, transport=httpx.MockTransport(made))
    monkeypatch.setattr(httpx, "Client", client)
    return made


def test_an_actor_signs_in_and_goes_live_with_the_servers_cookie(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, dict[str, str]]] = []

    class Live:
        store: Any = None

        def __init__(self, url: str, *, headers: Callable[[], dict[str, str]], **_: Any) -> None:
            opened.append((url, headers()))

        def start(self) -> None: ...

        def close(self) -> None: ...

        def wait_live(self, *, within: float) -> bool:
            return True

        def wait(self, condition: Callable[[Any], Any], *, within: float) -> bool:
            return True

    monkeypatch.setattr(web, "SyncLive", Live)
    seen = Seen()
    actor = WebActor(
        Part(
            label="anna",
            person=Person(name="anna", password="secret"),
            base=BASE,
            observer=seen,
            deliveries=Deliveries(seen),
            company=list,
            unique=str,
        )
    )
    actor.signs_in()
    assert server.requests[-1].headers["X-CSRFToken"] == "the-token"
    actor._connect()
    actor.close()
    assert opened == [("wss://stack.example/live", {"Cookie": f"{server.session}=the-key"})]


def test_a_session_made_elsewhere_goes_by_the_scheme(server: Server) -> None:
    for base, name in ((BASE, "__Host-sessionid"), ("http://stack.example", "sessionid")):
        with Http(base, observer=Seen()) as client:
            client.use_session("elsewhere")
            assert client.session == {name: "elsewhere"}
            client.json("GET", "/api/session")
            assert f"{name}=elsewhere" in server.requests[-1].headers["Cookie"]


def test_before_signing_in_there_is_no_session(server: Server) -> None:
    with Http(BASE, observer=Seen()) as client:
        assert client.session == {}
