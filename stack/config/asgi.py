"""The ASGI application: HTTP for pages and Django, the live WebSocket, and the process's start and end."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stack.config.settings")
django_application = get_asgi_application()

# Models can be imported only from here on.
from stack.config.origins import StrictOriginValidator  # noqa: E402
from stack.config.postgres.connection import Connection  # noqa: E402
from stack.live import process  # noqa: E402
from stack.live.socket import live_socket  # noqa: E402
from stack.pages import process as pages  # noqa: E402
from stack.pages.front import Front  # noqa: E402

DATABASE_PATIENCE = 10.0
"""Seconds that a statement of a request or of the hub may take."""


async def lifespan(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The hub's, which says first that it is over; by then the connections to the renderers are closed too.

    A process that serves gives up a database that says nothing: a request that is never answered is worse than one that
    fails.
    """

    async def send_at_last(message: dict[str, Any]) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            await pages.close()
        await send(message)

    with Connection.giving_up_after(DATABASE_PATIENCE):
        await process.lifespan(scope, receive, send_at_last)


application = ProtocolTypeRouter(
    {
        "http": Front(django_application),
        "websocket": StrictOriginValidator(
            URLRouter(
                [
                    path("live", live_socket),  # type: ignore[arg-type]  # an ASGI application, as Channels wants
                    re_path(r"", WebsocketDenier.as_asgi()),
                ]
            ),
            settings.APP_ORIGINS,
        ),
        "lifespan": lifespan,
    }
)
