"""Who gets as far as the live socket, what is a page, and how the process ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from django.conf import settings

from stack.config import asgi
from stack.live import process as hub
from stack.pages import process as pages
from stack.pages.renderer import Renderers

REFUSED = [{"type": "websocket.close"}]


def connect(path: str, *origins: str) -> list[dict[str, Any]]:
    """Open a WebSocket; returns what the application sent before it waited for more, or an empty list."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "websocket.connect"}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "websocket.disconnect", "code": 1006}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [(b"origin", origin.encode("latin1")) for origin in origins],
        "subprotocols": [],
    }

    async def run() -> None:
        # The hub does not run here, which the socket behind the check says loudly.
        with contextlib.suppress(RuntimeError):
            await asyncio.wait_for(asgi.application(scope, receive, send), timeout=10)

    asyncio.run(run())
    return sent


@pytest.mark.parametrize("origin", settings.APP_ORIGINS)
def test_own_origins_get_through(origin: str) -> None:
    assert connect("/live", origin)[0]["type"] == "websocket.accept"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "*",
        "file://",
        f"{settings.APP_ORIGINS[0]}.evil.example",
        f"{settings.APP_ORIGINS[0]}0",
        f"{settings.APP_ORIGINS[0]}@evil.example",
        settings.APP_ORIGINS[0].replace("http:", "https:"),
        "http://[",
        "http://127.0.0.1:99999",
        "\xff",
    ],
)
def test_foreign_and_broken_origins_are_refused(origin: str) -> None:
    assert connect("/live", origin) == REFUSED


def test_no_origin_or_two_are_refused() -> None:
    assert connect("/live") == REFUSED
    assert connect("/live", "http://evil.example", settings.APP_ORIGINS[0]) == REFUSED


@pytest.mark.parametrize("path", ["/", "/other", "/live/", "/live/more"])
def test_other_paths_are_refused(path: str) -> None:
    assert connect(path, settings.APP_ORIGINS[0]) == REFUSED


def get(path: str) -> tuple[int, dict[str, str]]:
    """The status and headers of the answer to a GET."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(asyncio.wait_for(asgi.application(scope, receive, send), timeout=20))
    return sent[0]["status"], {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}


def test_what_is_djangos_and_what_is_a_page() -> None:
    status, headers = get("/api/nowhere")
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    status, headers = get("/")
    assert (status, headers["location"]) == (302, "/sign-in/")


def test_connections_to_the_renderers_are_closed_before_the_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def hubs(_scope: Any, _receive: Any, send: Any) -> None:
        for type_ in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await send({"type": type_})

    async def close(_self: Renderers) -> None:
        told.append("closed")

    async def send(message: dict[str, Any]) -> None:
        told.append(message["type"])

    async def work() -> None:
        pages.renderers()
        await asgi.application({"type": "lifespan"}, None, send)

    monkeypatch.setattr(hub, "lifespan", hubs)
    monkeypatch.setattr(Renderers, "close", close)
    asyncio.run(work())
    assert told == ["lifespan.startup.complete", "closed", "lifespan.shutdown.complete"]
