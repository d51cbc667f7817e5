"""What this server process has for its sockets, started and stopped with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from stack.live.connection import closes
from stack.live.draining import Draining
from stack.live.hub import Hub
from stack.live.limits import Places


@dataclass(frozen=True)
class Process:
    """The hub, the places for sockets, and how they are given up in the end."""

    hub: Hub
    places: Places
    draining: Draining
    loop: asyncio.AbstractEventLoop


_process: Process | None = None


def current() -> Process:
    """What runs.

    Raises:
        RuntimeError: the server runs without ASGI's lifespan protocol.
    """
    if _process is None:
        raise RuntimeError("the hub is not running: start the server with its lifespan on (uvicorn --lifespan on)")
    return _process


def is_draining() -> bool:
    """Whether the process is about to end and wants no new clients."""
    return _process is not None and _process.draining.begun


def status() -> dict[str, Any]:
    """For health checks: whether the hub follows a log, where it stands, how many sockets and tasks there are.

    ``closed`` counts the sockets that were closed from this side, by code, since the process began.
    """
    position = None if _process is None else _process.hub.position
    return {
        "ready": position is not None,
        "epoch": None if position is None else position.epoch,
        "seq": None if position is None else position.seq,
        "sockets": 0 if _process is None else len(_process.hub.roster),
        "tasks": 0 if _process is None else len(asyncio.all_tasks(_process.loop)),
        "closed": {str(int(code)): count for code, count in sorted(closes.items())},
    }


async def lifespan(
    _scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """ASGI lifespan: the hub fills its ring before the server takes its first connection."""
    global _process  # noqa: PLW0603 - one a process is the design
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            hub = Hub()
            draining = Draining(hub.roster.sockets, within=settings.LIVE_DRAIN)
            _process = Process(hub, Places(settings.LIVE_MOST_SOCKETS), draining, asyncio.get_running_loop())
            await hub.start()
            draining.stand_by()
            await send({"type": "lifespan.startup.complete"})
        else:
            assert _process is not None
            _process.draining.stand_down()
            await _process.hub.stop()
            _process = None
            await send({"type": "lifespan.shutdown.complete"})
            return
