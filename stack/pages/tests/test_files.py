from __future__ import annotations

from collections.abc import Callable

import pytest

from stack.pages.front import Front
from stack.pages.tests.wire import Answer, get

FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture
def front(new_front: Callable[..., Front]) -> Front:
    return new_front()


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/_next/static/chunks/web-1a.js", "text/javascript", b"web"),
        ("/_next/static/chunks/renderer-3c.css", "text/css", b"p{}"),
    ],
)
def test_static_files_of_both_builds_are_kept_for_ever(front: Front, path: str, content_type: str, body: bytes) -> None:
    answer = get(front, path)
    assert (answer.status, answer.body) == (200, body)
    assert answer["Content-Type"].startswith(content_type)
    assert answer["Cache-Control"] == FOR_EVER
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert not answer["Set-Cookie"]


@pytest.mark.parametrize(("path", "content_type"), [("/favicon.svg", "image/svg+xml"), ("/icons/app.png", "image/png")])
def test_public_files_are_kept_for_a_short_time(front: Front, path: str, content_type: str) -> None:
    answer = get(front, path)
    assert (answer.status, answer["Content-Type"]) == (200, content_type)
    assert answer["Cache-Control"] == "max-age=60, public"


@pytest.mark.parametrize(
    "path",
    [
        "/_next/static/chunks/gone-4d.js",
        "/_next/static/",
        "/_next/data/secret.json",
        "/_next/data/build/chats.json",
        "/_next/image",
        "/_next/../favicon.svg",
        "/_next/static/../../favicon.svg",
        "/_next/",
    ],
)
def test_no_such_file_is_a_short_text(front: Front, path: str) -> None:
    answer = get(front, path)
    assert (answer.status, answer["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["/chats/index.html", "/index.html", "/server.js", "/../renderer/server.js", "/web/favicon.svg", "/%2e%2e/x"],
)
def test_neither_exported_pages_nor_the_renderer_are_files(front: Front, path: str) -> None:
    answer = get(front, path)
    assert answer.status == 404
    assert b"shell of /404" in answer.body


def test_compressed_for_who_takes_it(front: Front) -> None:
    path = "/_next/static/chunks/big-2b.js"
    plain, packed = get(front, path), get(front, path, headers={"accept-encoding": "gzip, br"})
    assert (packed["Content-Encoding"], packed.body) == ("gzip", b"compressed")
    assert not plain["Content-Encoding"]
    assert plain["Vary"] == packed["Vary"] == "Accept-Encoding"
    assert "web-1a" not in get(front, f"{path}.gz").text


def test_head_not_modified_range_and_other_methods(front: Front) -> None:
    path = "/_next/static/chunks/web-1a.js"

    def ask(**options: object) -> Answer:
        return get(front, path, **options)

    head = ask(method="HEAD")
    assert (head.status, head.body, head["Content-Length"]) == (200, b"", "3")
    same = ask(headers={"if-none-match": head["ETag"]})
    assert (same.status, same["Content-Length"]) == (304, "")
    part = ask(headers={"range": "bytes=1-2"})
    assert (part.status, part.body) == (206, b"eb")
    refused = ask(method="POST")
    assert (refused.status, refused["Allow"]) == (405, "GET, HEAD")


def test_without_a_build_there_is_nothing(new_front: Callable[..., Front]) -> None:
    assert get(new_front(build=False), "/_next/static/chunks/web-1a.js").status == 404
