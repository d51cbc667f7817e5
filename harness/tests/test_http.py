from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.actors.errors import Refused, Unreachable
from harness.actors.http import Http, anonymous
from harness.ports import free_port
from harness.tests.observing import Seen


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers it got; /refused, /broken and /loop answer as they are called."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, content = 200, {name.lower(): value for name, value in self.headers.items()}
        if self.path == "/refused":
            status, content = 403, {"title": "Forbidden", "detail": "This is not yours."}
        body = b"<h1>Sorry</h1>" if self.path == "/broken" else json.dumps(content).encode()
        self.send_response(302 if self.path == "/loop" else 500 if self.path == "/broken" else status)
        if self.path == "/loop":
            self.send_header("Location", "/loop")
        self.send_header("Set-Cookie", "csrftoken=the-token; Path=/")
        if self.path == "/sign-out":
            self.send_header("Set-Cookie", "sessionid=; Path=/; Max-Age=0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the base class names it

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture(params=["127.0.0.1", "localhost"])
def http(request: pytest.FixtureRequest, port: int, seen: Seen) -> Iterator[Http]:
    with Http(f"http://{request.param}:{port}/", observer=seen) as client:
        yield client


def test_a_writing_request_looks_like_a_browsers(http: Http) -> None:
    http.json("GET", "/api/session")
    sent = http.json("POST", "/api/chats", {"title": "Lunch"})
    assert sent["origin"] == http.base
    assert sent["x-csrftoken"] == "the-token"
    assert sent["content-type"] == "application/json"
    assert "csrftoken=the-token" in sent["cookie"]


def test_a_reading_request_carries_no_token(http: Http) -> None:
    sent = http.json("GET", "/api/chats")
    assert "origin" not in sent
    assert "x-csrftoken" not in sent


def test_a_session_made_elsewhere_is_used(http: Http) -> None:
    http.use_session("the-session")
    assert "sessionid=the-session" in http.json("GET", "/api/session")["cookie"]


def test_a_session_made_elsewhere_can_be_ended(http: Http) -> None:
    http.use_session("the-session")
    http.json("GET", "/sign-out")
    assert "sessionid" not in http.json("GET", "/api/session")["cookie"]


def test_a_refusal_says_what_the_server_said(http: Http, seen: Seen) -> None:
    with pytest.raises(Refused, match=r"POST /refused: HTTP 403: This is not yours\.") as caught:
        http.json("POST", "/refused", {})
    assert caught.value.status == 403
    assert seen.requests == [("POST", "/refused", "HTTP 403")]


def test_an_answer_that_is_no_json_is_shown(http: Http) -> None:
    with pytest.raises(Refused, match="HTTP 500: <h1>Sorry</h1>"):
        http.json("GET", "/broken")


def test_endless_redirects_end(http: Http) -> None:
    with pytest.raises(Refused, match="too many redirects"):
        http.page("/loop")


def test_a_server_that_is_gone_is_unreachable(seen: Seen) -> None:
    base = f"http://127.0.0.1:{free_port()}"
    with Http(base, observer=seen) as client, pytest.raises(Unreachable, match=f"GET {base}/api/session"):
        client.json("GET", "/api/session")
    assert seen.requests == [("GET", "/api/session", "ConnectError")]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/chats/42/messages", "/api/chats/:id/messages"),
        ("/api/chats/42", "/api/chats/:id"),
        ("/api/people?search=42", "/api/people"),
        ("/api/v2x/a1", "/api/v2x/a1"),
    ],
)
def test_requests_are_counted_together_without_ids(path: str, name: str) -> None:
    assert anonymous(path) == name
