"""The limit: an ASGI application that does nothing but write what it is told to all its sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

_sockets: set[Send] = set()


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """``/publish`` takes texts that all other sockets get."""
    match scope["type"]:
        case "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await (_publish(receive) if scope["path"] == "/publish" else _hold(receive, send))
        case "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"ready"})
        case "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})


async def _hold(receive: Receive, send: Send) -> None:
    _sockets.add(send)
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        _sockets.discard(send)


async def _publish(receive: Receive) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        told = {"type": "websocket.send", "text": message["text"]}
        for send in tuple(_sockets):
            await send(told)
