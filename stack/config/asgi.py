"""The ASGI application: HTTP for Django, the live WebSocket, and the hub's start and end."""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stack.config.settings")
django_application = get_asgi_application()

# Models can be imported only from here on.
from stack.config.origins import StrictOriginValidator  # noqa: E402
from stack.live.process import lifespan  # noqa: E402
from stack.live.socket import live_socket  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": django_application,
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
