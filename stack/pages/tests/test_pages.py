"""Pages as a browser gets them, through the front."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from django.conf import settings as current
from django.utils import timezone
from pytest_django import Settings

from stack.accounts.models import Session
from stack.pages import view
from stack.pages.front import Front
from stack.pages.tests.conftest import World
from stack.pages.tests.wire import Seen, ask, echoes, get, page_data, rendered, renderer, run, says

NewFront = Callable[..., Front]
ROLES = ("anonymous", "member", "stranger", "admin")
ROWS = {
    "/": (302, 302, 302, 302),
    "/sign-in/": (200, 302, 302, 302),
    "/chats/": (302, 200, 200, 200),
    "/chats/{chat}/": (302, 200, 404, 404),
    "/chats/999999/": (302, 404, 404, 404),
    "/chats/9223372036854775808/": (302, 404, 404, 404),
    "/profile/": (302, 200, 200, 200),
    "/people/": (302, 200, 200, 200),
    "/404/": (404, 404, 404, 404),
    "/no/such/page/": (404, 404, 404, 404),
    "/wp-login.php": (404, 404, 404, 404),
    "//evil.example/": (404, 404, 404, 404),
    "/chats": (301, 301, 301, 301),
}


@pytest.mark.parametrize("how", ["rendered", "shell"])
def test_who_gets_what(new_front: NewFront, world: World, how: str) -> None:
    async def work() -> dict[str, tuple[int, ...]]:
        async with renderer(echoes) as fake:
            front = new_front(*[fake.url] if how == "rendered" else [])
            found: dict[str, tuple[int, ...]] = {}
            for path in ROWS:
                answers = [
                    await ask(front, path.format(chat=world.chat), session=world.sessions[role]) for role in ROLES
                ]
                found[path] = tuple(answer.status if answer else 0 for answer in answers)
            return found

    assert run(work()) == ROWS


def test_page_data_of_a_chat(new_front: NewFront, world: World) -> None:
    answer, fake = rendered(new_front, f"/chats/{world.chat}/", session=world.sessions["member"])
    assert answer["X-Rendered-By"] == "renderer"
    assert not answer["X-Shell-Reason"]
    assert fake.seen[0].path == f"/chats/{world.chat}/"
    found = page_data(answer)
    user = world.users["member"].pk
    assert set(found) == {"version", "path", "now", "user", "snapshot"}
    assert (found["version"], found["path"], found["user"]) == (1, f"/chats/{world.chat}/", user)
    assert found["now"].endswith("Z")
    assert len(found["now"]) == len("2026-11-23T09:00:00.000Z")
    snapshot = found["snapshot"]
    assert set(snapshot) == {"epoch", "seq", "orders", "scopes"}
    assert snapshot["orders"] == {"message": "number"}
    shown, other = (snapshot["scopes"][f"chat:{chat}"] for chat in (world.chat, world.other))
    assert [message["number"] for message in shown["entities"]["message"]] == list(range(6, 56))
    assert shown["bounds"]["message"][0] == 6
    assert [message["number"] for message in other["entities"]["message"]] == [3]
    assert other["bounds"]["message"][0] == 3
    assert snapshot["scopes"][f"user:{user}"]["entities"]["account"][0]["username"] == "member"


def test_page_data_holds_no_secret(new_front: NewFront, world: World) -> None:
    answer, _ = rendered(new_front, f"/chats/{world.chat}/", session=world.sessions["member"])
    for secret in (world.sessions["member"], world.users["member"].password, current.SECRET_KEY, "secret-of"):
        assert str(secret) not in answer.text


def test_the_list_shows_the_newest_message_of_each_chat(new_front: NewFront, world: World) -> None:
    answer, _ = rendered(new_front, "/chats/", session=world.sessions["member"])
    scopes = page_data(answer)["snapshot"]["scopes"]
    assert [len(scopes[f"chat:{chat}"]["entities"]["message"]) for chat in (world.chat, world.other)] == [1, 1]


def test_a_strangers_404_tells_nothing_of_the_chat(new_front: NewFront, world: World) -> None:
    answer, fake = rendered(new_front, f"/chats/{world.chat}/", session=world.sessions["stranger"])
    assert fake.seen[0].path == "/404/"
    found = page_data(answer)
    assert (found["path"], found["user"]) == (f"/chats/{world.chat}/", world.users["stranger"].pk)
    assert f"chat:{world.chat}" not in found["snapshot"]["scopes"]
    assert "long" not in answer.text


def test_who_is_not_signed_in_costs_no_query(new_front: NewFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "read", lambda *_, **__: pytest.fail("the database was asked"))
    answer, _ = rendered(new_front, "/sign-in/", query=b"next=/profile/")
    assert (page_data(answer)["user"], page_data(answer)["snapshot"]) == (None, None)


@pytest.mark.parametrize("session", ["a" * 32, "x'; DROP TABLE", "\x00" * 32, "é" * 32, "", "a" * 9999])
def test_sessions_that_are_none(new_front: NewFront, world: World, session: str) -> None:
    answer, fake = rendered(new_front, "/chats/", session=session)
    assert (answer.status, answer["Location"]) == (302, "/sign-in/?next=/chats/")
    assert not fake.seen


def test_a_disabled_user_is_not_signed_in(new_front: NewFront, world: World) -> None:
    world.users["member"].is_active = False
    world.users["member"].save()
    answer, _ = rendered(new_front, "/chats/", session=world.sessions["member"])
    assert answer["Location"] == "/sign-in/?next=/chats/"


def test_a_session_that_is_over_is_not_signed_in(new_front: NewFront, world: World) -> None:
    Session.objects.update(expire_date=timezone.now())
    answer, _ = rendered(new_front, "/chats/", session=world.sessions["member"])
    assert answer["Location"] == "/sign-in/?next=/chats/"


def test_one_viewers_failing_pages_leave_the_others_theirs(new_front: NewFront, world: World) -> None:
    async def fails_for_members(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broken = json.loads(seen.body)["user"] == world.users["member"].pk
        await says(status="500 Oops" if broken else "200 OK")(seen, reader, writer)

    async def work() -> list[str]:
        async with renderer(fails_for_members) as fake:
            front = new_front(fake.url)
            found = []
            for name in ("member", "member", "member", "member", "owner"):
                answer = await ask(front, "/chats/", session=world.sessions[name])
                assert answer is not None
                found.append(answer["X-Rendered-By"])
            return found

    assert run(work()) == ["shell"] * 4 + ["renderer"]


class TestHeaders:
    def test_of_a_page(self, new_front: NewFront, world: World) -> None:
        answer, _ = rendered(
            new_front,
            "/chats/",
            session=world.sessions["member"],
            behaviour=says(more="Set-Cookie: a=b\r\nCache-Control: public\r\nX-Powered-By: Next.js\r\nX-Evil: 1\r\n"),
        )
        names = {name.lower() for name, _ in answer.headers}
        assert names == {
            "cache-control",
            "content-length",
            "content-security-policy",
            "content-type",
            "cross-origin-opener-policy",
            "referrer-policy",
            "server-timing",
            "set-cookie",
            "vary",
            "x-content-type-options",
            "x-frame-options",
            "x-rendered-by",
        }
        assert answer["Cache-Control"] == "private, no-store"
        assert answer["Vary"] == "Cookie"
        assert answer["Content-Type"] == "text/html; charset=utf-8"
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["Content-Length"] == str(len(answer.body))
        assert answer["Server-Timing"].startswith("snapshot;dur=")
        assert ", render;dur=" in answer["Server-Timing"]
        assert answer["Set-Cookie"].startswith("csrftoken=")

    @pytest.mark.parametrize("path", ["/", "/chats", "/chats/", "/sign-in/", "/nowhere/"])
    def test_nothing_is_kept(self, new_front: NewFront, path: str) -> None:
        answer = get(new_front(), path)
        assert answer["Cache-Control"] == "private, no-store"
        assert "Cookie" in answer["Vary"]
        assert "default-src 'none'" in answer["Content-Security-Policy"]

    @pytest.mark.parametrize(("scheme", "live"), [("http", "ws"), ("https", "wss")])
    def test_content_security_policy(self, new_front: NewFront, scheme: str, live: str) -> None:
        answer = get(new_front(), "/sign-in/", scheme=scheme)
        assert answer["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            f"connect-src 'self' {live}://127.0.0.1:8000; manifest-src 'self'; worker-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )

    def test_a_development_server_widens_it_by_itself(self, new_front: NewFront, settings: Settings) -> None:
        front = new_front()
        settings.FRONTEND_DEV_URL = "http://127.0.0.1:3999"
        policy = get(front, "/sign-in/")["Content-Security-Policy"]
        assert "script-src 'self' http://127.0.0.1:3999 'unsafe-inline' 'unsafe-eval';" in policy
        assert "style-src 'self' http://127.0.0.1:3999 'unsafe-inline';" in policy
        assert "ws://127.0.0.1:8000 ws://127.0.0.1:3999;" in policy
        for added in (" http://127.0.0.1:3999", " ws://127.0.0.1:3999", " 'unsafe-inline'", " 'unsafe-eval'"):
            policy = policy.replace(added, "")
        settings.FRONTEND_DEV_URL = None
        assert policy == get(new_front(), "/sign-in/")["Content-Security-Policy"]

    def test_to_the_renderer(self, new_front: NewFront, world: World) -> None:
        _, fake = rendered(
            new_front,
            "/chats/",
            session=world.sessions["member"],
            query=b"a=b",
            headers={
                "accept-language": "de-CH, en;q=0.5",
                "x-request-id": "a1-b2",
                "authorization": "Bearer secret",
                "accept-encoding": "gzip",
                "user-agent": "test",
                "x-nextjs-data": "1",
                "x-middleware-subrequest": "middleware",
                "x-now-route-matches": "1",
                "x-forwarded-for": "192.0.2.1",
                "next-router-state-tree": "x",
                "upgrade": "websocket",
                "connection": "upgrade",
            },
        )
        (seen,) = fake.seen
        headers = dict(seen.headers)
        assert (seen.method, seen.path) == ("POST", "/chats/")
        assert int(headers.pop("content-length")) == len(seen.body)
        assert headers == {
            "content-type": "application/json",
            "host": "127.0.0.1:8000",
            "accept-language": "de-CH, en;q=0.5",
            "x-request-id": "a1-b2",
        }

    @pytest.mark.parametrize("value", ["a\tb", "x" * 300, "é", '"<script>'])
    def test_odd_ones_stay_here(self, new_front: NewFront, value: str) -> None:
        _, fake = rendered(new_front, "/sign-in/", headers={"accept-language": value, "x-request-id": value})
        assert {name for name, _ in fake.seen[0].headers} == {"host", "content-type", "content-length"}

    def test_a_wrong_host_is_refused_before_anything_else(self, new_front: NewFront) -> None:
        answer, fake = rendered(new_front, "/sign-in/", headers={"host": "evil.example"})
        assert (answer.status, fake.seen) == (400, [])
        assert "evil.example" not in answer.text

    def test_a_query_that_is_no_text(self, new_front: NewFront) -> None:
        assert get(new_front(), "/sign-in/", query=b"\xff").status == 400

    def test_a_query_of_more_than_django_takes(
        self, new_front: NewFront, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        query = b"&".join(b"a" for _ in range(2000))
        assert get(new_front(), "/sign-in/", query=query, session=world.sessions["member"]).status == 400
        assert not caplog.records

    def test_production(self, new_front: NewFront, settings: Settings) -> None:
        settings.SECURE_SSL_REDIRECT = True
        settings.SECURE_HSTS_SECONDS = 1000
        settings.CSRF_COOKIE_SECURE = True
        front = new_front()
        for path in ("/chats/", "/favicon.svg", "/_next/static/chunks/web-1a.js"):
            answer = get(front, path)
            assert (answer.status, answer["Location"]) == (301, f"https://127.0.0.1:8000{path}")
        answer = get(front, "/sign-in/", scheme="https")
        assert answer["Strict-Transport-Security"].startswith("max-age=1000")
        assert "; Secure" in answer["Set-Cookie"]

    def test_the_token_that_scripts_send_back_stays_the_same(self, new_front: NewFront) -> None:
        front = new_front()
        first = get(front, "/sign-in/")["Set-Cookie"].partition(";")[0]
        again = get(front, "/sign-in/", headers={"cookie": first})["Set-Cookie"]
        assert again.partition(";")[0] == first
        assert "HttpOnly" not in again
        assert "SameSite=Lax" in again
        assert get(front, "/sign-in/", headers={"cookie": "csrftoken=broken"})["Set-Cookie"]


class TestRedirects:
    def test_home(self, new_front: NewFront, world: World) -> None:
        front = new_front()
        assert get(front, "/")["Location"] == "/sign-in/"
        assert get(front, "/", session=world.sessions["member"])["Location"] == "/chats/"

    def test_to_sign_in_and_back(self, new_front: NewFront) -> None:
        assert get(new_front(), "/chats/42/")["Location"] == "/sign-in/?next=/chats/42/"

    def test_a_missing_slash_is_added_and_the_query_kept(self, new_front: NewFront) -> None:
        answer = get(new_front(), "/sign-in", query=b"next=/profile/")
        assert (answer.status, answer["Location"]) == (301, "/sign-in/?next=/profile/")

    @pytest.mark.parametrize(
        ("query", "location"),
        [
            (b"", "/chats/"),
            (b"next=/profile/", "/profile/"),
            (b"next=/chats/42/%3Fa%3Db", "/chats/42/?a=b"),
            (b"next=//evil.example/", "/chats/"),
            (b"next=/%5Cevil.example/", "/chats/"),
            (b"next=https://evil.example/", "/chats/"),
            (b"next=/%09/evil.example/", "/chats/"),
            (b"next=/%0d%0aSet-Cookie:%20a=b", "/chats/"),
            (b"next=/profile/&next=//evil.example", "/chats/"),
            (b"next=javascript:alert(1)", "/chats/"),
        ],
    )
    def test_who_is_signed_in_goes_on(self, new_front: NewFront, world: World, query: bytes, location: str) -> None:
        answer = get(new_front(), "/sign-in/", session=world.sessions["member"], query=query)
        assert (answer.status, answer["Location"]) == (302, location)


class TestMethods:
    def test_head(self, new_front: NewFront, world: World) -> None:
        session = world.sessions["member"]
        answer, fake = rendered(new_front, "/profile/", method="HEAD", session=session, behaviour=says(b"12345"))
        assert (answer.status, answer.body, answer["Content-Length"]) == (200, b"", "5")
        assert [seen.method for seen in fake.seen] == ["POST"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
    def test_others(self, new_front: NewFront, method: str) -> None:
        answer, fake = rendered(new_front, "/chats/", method=method)
        assert (answer.status, answer["Allow"]) == (405, "GET, HEAD")
        answer, _ = rendered(new_front, "/nowhere/", method=method)
        assert answer.status == 404
        assert not fake.seen

    @pytest.mark.parametrize(
        "path", ["/api/session", "/api/nowhere", "/admin", "/admin/", "/static/x.css", "/healthz", "/readyz", "/live"]
    )
    def test_what_is_djangos(self, new_front: NewFront, path: str) -> None:
        assert get(new_front(), path, method="POST").status == 299
