"""Bodies as a server hands them over, without a length."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from stack.config import asgi

TOKEN = "a" * 32


def post(path: str, *chunks: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Post a body in pieces; returns the status and the JSON of the answer."""
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1", "content-type": "application/json"} | headers
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(asyncio.wait_for(asgi.django_application(scope, receive, send), timeout=10))  # type: ignore[arg-type]
    return sent[0]["status"], json.loads(b"".join(message["body"] for message in sent[1:]))


@pytest.mark.parametrize("length", [{}, {"content-length": "0"}], ids=["no length", "wrong length"])
def test_a_chunked_body_is_read(length: dict[str, str]) -> None:
    headers = {"transfer-encoding": "chunked", **length}
    status, answer = post("/api/session", b'{"username": ', b'"anna', headers=headers)
    assert (status, answer["type"]) == (400, "urn:stack:problem:parse_error")
    assert "Unterminated string" in answer["detail"]


def test_a_chunked_body_is_no_larger_than_others() -> None:
    status, answer = post("/api/session", *[b"x" * 1_000_000] * 3, headers={"transfer-encoding": "chunked"})
    assert (status, answer["type"]) == (413, "urn:stack:problem:payload_too_large")
