from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import OriginValidator, WebsocketDenier


class StrictOriginValidator(OriginValidator):  # type: ignore[misc]
    """Channels' check of the Origin; a header that is no origin at all is refused too, where Channels would fail."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """Let the connection through, or refuse it with 403."""
        origins = [value.decode("latin1") for name, value in scope["headers"] if name == b"origin"]
        if len(origins) == 1 and _is_well_formed(origins[0]):
            return await super().__call__(scope, receive, send)
        return await WebsocketDenier()(scope, receive, send)


def _is_well_formed(origin: str) -> bool:
    try:
        return urlsplit(origin).port != 0
    except ValueError:
        return False
