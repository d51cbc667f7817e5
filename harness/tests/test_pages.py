"""What is built and served: every route of the front end, for everybody, and nothing that its own policy would stop."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from harness.actors.errors import NotPossible
from harness.actors.pages import Page
from harness.actors.web import WebActor
from harness.folders import Folders
from harness.frontend.build import Build, ensure_build
from harness.play.errors import NeverSo
from harness.play.people import Pool, people_of
from harness.play.stage import Stage, Target
from harness.stack import RunningStack

MOST_SCRIPT = 180 * 1024
"""Bytes of the chat page's scripts, compressed."""
NEXTS_OWN = {"/_app", "/_document", "/_error", "/404"}
PARAMETER = re.compile(r"\[(\w+)\]")


@pytest.fixture(scope="module")
def build() -> Build:
    return ensure_build(Folders.of_checkout(), on_progress=lambda _: None)


def manifest(build: Build, name: str) -> dict[str, Any]:
    """One of Next's own lists of what it has built."""
    found: dict[str, Any] = json.loads((build.path / "renderer" / ".next" / name).read_text(encoding="utf-8"))
    return found


def routes(build: Build) -> list[str]:
    return sorted(set(manifest(build, "server/pages-manifest.json")) - NEXTS_OWN)


def response(path: str, html: str, **headers: str) -> httpx.Response:
    return httpx.Response(200, headers=headers, text=html, request=httpx.Request("GET", f"http://127.0.0.1{path}"))


def test_a_page_is_read_as_it_came() -> None:
    data = {"version": 1, "user": 7, "snapshot": {"epoch": "e", "seq": 3, "orders": {}, "scopes": {}}}
    html = f"""<!doctype html><html><head><style>p {{}}</style></head><body><p style="color: red">Hello <b>you</b></p>
        <script>alert(1)</script><script src="/x.js"></script><noscript>no</noscript>
        <script id="page-data" type="application/json">{json.dumps(data)}</script></body></html>"""
    page = Page.of(response("/chats/", html, **{"X-Rendered-By": "shell", "X-Shell-Reason": "timeout"}))
    assert (page.path, page.status, page.by, page.shell_reason) == ("/chats/", 200, "shell", "timeout")
    assert page.text == "Hello you"
    assert page.inline == ("<script>alert(1)", "<style>p {}", "<p style='color: red'>")
    assert page.data == data
    store = page.store()
    assert store is not None
    assert (store.user, store.seq) == (7, 3)


def test_a_rendered_page_holds_its_data_in_next_s_own_block() -> None:
    block = json.dumps({"props": {"pageProps": {"data": {"user": None, "snapshot": None}}}})
    page = Page.of(response("/", f'<script id="__NEXT_DATA__" type="application/json">{block}</script>'))
    assert page.data == {"user": None, "snapshot": None}
    assert page.store() is None
    assert Page.of(response("/", "")).data is None


@pytest.mark.stack
def test_every_route_of_the_front_end_is_a_page_that_the_renderer_makes(stack: RunningStack, build: Build) -> None:
    found = routes(build)
    assert len(found) >= 6
    with Stage(Target.of(stack), people_of(stack)) as stage:
        alice, guest = stage.actor("alice"), stage.actor("bob")
        chat = alice.starts_chat("A chat to open", with_=[])
        for route in found:
            path = PARAMETER.sub(str(chat.id), route)
            page = alice.loads(path)
            # The page at the root and the one for signing in lead on who is signed in.
            expected = "/chats/" if route in ("/", "/sign-in") else f"{path}/"
            assert (page.path, page.status, page.by) == (expected, 200, "renderer"), route
            assert page.headers["cache-control"] == "private, no-store"
            assert not page.inline, route
            assert page.data is not None
            assert page.data["user"] == alice.user
            assert isinstance(guest, WebActor)
            sent = httpx.get(f"{guest.base}{path.rstrip('/')}/", trust_env=False)
            if route != "/sign-in":
                assert sent.status_code == 302, route
                assert sent.headers["location"].startswith("/sign-in/"), route


@pytest.mark.stack
def test_every_route_was_exported_as_a_shell(build: Build) -> None:
    for route in routes(build):
        file = build.path / "web" / route.strip("/") / "index.html"
        page = Page.of(response(f"{route}/", file.read_text(encoding="utf-8")))
        assert not page.inline, route
        assert page.store() is None, route


@pytest.mark.stack
def test_the_scripts_of_the_chat_page_are_few(build: Build) -> None:
    pages = manifest(build, "build-manifest.json")["pages"]
    files = {*pages["/_app"], *pages["/chats/[id]"]}
    scripts = [build.path / "renderer" / ".next" / file for file in files if file.endswith(".js")]
    assert len(scripts) > 3
    size = sum(len(gzip.compress(script.read_bytes())) for script in scripts)
    assert size <= MOST_SCRIPT, f"{size / 1024:.0f} KiB"


@pytest.mark.stack
@pytest.mark.parametrize("tree", ["renderer/.next/static", "web/_next/static"])
def test_what_is_built_is_served_and_kept_for_ever(stack: RunningStack, build: Build, tree: str) -> None:
    folder = build.path / tree
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".gz"]
    assert files
    packed = 0
    with httpx.Client(base_url=stack.urls.app, trust_env=False) as client:
        for file in files[:10]:
            got = client.get(f"/_next/static/{file.relative_to(folder)}")
            assert got.status_code == 200, file
            assert got.content == file.read_bytes()
            assert "immutable" in got.headers["cache-control"]
            packed += got.headers.get("content-encoding") == "gzip"
        assert packed
        assert client.get("/_next/static/chunks/none.js").status_code == 404
        assert "text/html" not in client.get("/_next/static/chunks/none.js").headers["content-type"]


# The stage


@pytest.fixture
def elsewhere() -> Iterator[Stage]:
    with Stage(Target(backends=("http://127.0.0.1:1",)), Pool([])) as stage:
        yield stage


def test_a_stage_elsewhere_breaks_nothing_and_makes_nobody(elsewhere: Stage) -> None:
    with (
        pytest.raises(NotPossible, match="can't break the renderer: its stack runs elsewhere"),
        elsewhere.broken("renderer", "killed"),
    ):
        pass
    with pytest.raises(NotPossible, match="can't make people"):
        elsewhere.crowd(2)


def test_until_looks_until_it_is_so(elsewhere: Stage) -> None:
    answers = iter([False, False, True])
    elsewhere.until(lambda: next(answers), "it is so", within=5)
    with pytest.raises(NeverSo, match=r"Not within 0\.2 s: pigs fly\."):
        elsewhere.until(lambda: False, "pigs fly", within=0.2)


@pytest.mark.stack
def test_a_crowd_is_new_people_who_leave_with_the_stage(stack: RunningStack) -> None:
    with Stage(Target.of(stack), Pool([])) as stage:
        crowd = stage.crowd(3)
        assert len({actor.user for actor in crowd}) == 3
        assert stage.actors == tuple(crowd)
        more = stage.crowd(2)
        assert len({actor.label for actor in stage.actors}) == 5
        assert stage.actors == (*crowd, *more)
        for actor in crowd:
            actor.opens("/chats")
            assert actor.online
    assert not any(actor.online for actor in crowd)


@pytest.mark.stack
def test_what_did_not_come_with_the_page_is_told(stack: RunningStack) -> None:
    with Stage(Target.of(stack), people_of(stack)) as stage:
        alice = stage.actor("alice")
        alice.opens("/chats")
        assert alice.data_requests, "the screen was opened without a page: its data was asked for"
        alice.loads("/chats")
        assert not alice.data_requests


@pytest.mark.stack
def test_a_store_that_lags_behind_is_not_the_fresh_one(stack: RunningStack) -> None:
    with Stage(Target.of(stack), people_of(stack)) as stage:
        alice = stage.actor("alice")
        alice.loads("/profile")
        with stage.broken("relay", "frozen"):
            alice.changes_profile(bio=stage.unique("changed"))
            assert alice.store() != alice.fresh_store()
        stage.until(lambda: alice.store() == alice.fresh_store(), "the store has caught up", within=10)
