"""The peer's ASGI application, as Channels' tutorial ends."""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

django_application = get_asgi_application()

# Models can be imported only from here on.
from benchmarks.live.stock.consumers import ChatConsumer  # noqa: E402 - as said above

application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter([path("changes", ChatConsumer.as_asgi())]))
        ),
    }
)
