"""Raw WebSockets to the live endpoint of a real server, for what clients of ours never do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from harness.actors.http import SESSION_COOKIE

HELLO = '{"type":"hello","cursor":null}'
WITHIN = 10.0


def options(base: str, session: str | None) -> dict[str, Any]:
    """What to connect with, for websockets' sync and asyncio clients; ``base`` is the origin of a backend."""
    return {
        "uri": f"ws{base.removeprefix('http')}/live",
        "origin": base,
        "subprotocols": ["live.v1"],
        "additional_headers": {} if session is None else {"Cookie": f"{SESSION_COOKIE}={session}"},
        "proxy": None,
        "compression": None,
        "max_size": None,
        "ping_interval": None,
    }


@contextmanager
def socket(base: str, session: str | None, **more: Any) -> Iterator[ClientConnection]:
    """One socket, without a hello."""
    with connect(**{**options(base, session), "close_timeout": 1.0, **more}) as client:
        yield client


def closed_with(client: ClientConnection) -> int:
    """The code that it is closed with, whatever comes before."""
    try:
        while True:
            client.recv(timeout=WITHIN)
    except ConnectionClosed as closed:
        if closed.rcvd is None:
            pytest.fail("the server went without a close frame")
        return closed.rcvd.code


def until(client: ClientConnection, type_: str) -> dict[str, Any]:
    """The next frame of a type."""
    while True:
        frame = json.loads(client.recv(timeout=WITHIN))
        if frame["type"] == type_:
            return dict(frame)


def greet(client: ClientConnection) -> None:
    """Say hello, and wait until everything is there."""
    client.send(HELLO)
    until(client, "heartbeat")


def load(number: int, scope: str) -> str:
    """The frame that asks for a scope anew."""
    return json.dumps({"type": "load", "id": number, "scope": scope})


def figures(base: str) -> dict[str, Any]:
    """What a backend tells of its live side."""
    response = httpx.get(f"{base}/healthz", timeout=WITHIN, trust_env=False)
    return dict(response.json()["live"])
