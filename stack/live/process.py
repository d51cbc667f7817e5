"""The hub of this server process, started and stopped with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from stack.live.hub import Hub

_hub: Hub | None = None


def current_hub() -> Hub:
    """The running hub.

    Raises:
        RuntimeError: the server runs without ASGI's lifespan protocol.
    """
    if _hub is None:
        raise RuntimeError("the hub is not running: start the server with its lifespan on (uvicorn --lifespan on)")
    return _hub


def status() -> dict[str, Any]:
    """For health checks: whether the hub follows a log, where it stands and how many sockets it has."""
    position = None if _hub is None else _hub.position
    return {
        "ready": position is not None,
        "epoch": None if position is None else position.epoch,
        "seq": None if position is None else position.seq,
        "sockets": 0 if _hub is None else len(_hub.roster),
    }


async def lifespan(
    _scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """ASGI lifespan: the hub fills its ring before the server takes its first connection."""
    global _hub  # noqa: PLW0603 - one hub a process is the design
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            _hub = Hub()
            await _hub.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            assert _hub is not None
            await _hub.stop()
            _hub = None
            await send({"type": "lifespan.shutdown.complete"})
            return
