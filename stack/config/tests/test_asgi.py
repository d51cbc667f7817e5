"""Who gets as far as the live socket."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from django.conf import settings

from stack.config import asgi

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
