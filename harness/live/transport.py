"""What the drivers of the live protocol share: how to connect, and what the end of a connection means."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Origin, Subprotocol

from harness.live.connection import SUBPROTOCOL

ABNORMAL = 1006
"""The close code of a connection that ended without one."""
OPEN_WITHIN = 5.0

_OUR_FAULT = 4400
_CLOSE_WITHIN = 1.0
_LINGER_NOT = b"\x01\x00\x00\x00\x00\x00\x00\x00"


def options(origin: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Keyword arguments for `connect` of `websockets`, the sync and the asyncio one."""
    return {
        "origin": Origin(origin),
        "subprotocols": [Subprotocol(SUBPROTOCOL)],
        "additional_headers": dict(headers),
        "compression": None,
        "max_size": None,
        "close_timeout": _CLOSE_WITHIN,
        "ping_interval": None,
        "proxy": None,
    }


def patience(heartbeat: float) -> float:
    """Seconds of silence after which a connection is dead: a half-open one never says so."""
    return 2 * heartbeat + 5


def end_of(error: Exception) -> tuple[int, str]:
    """The close code that an error amounts to, and the error in words."""
    match error:
        case InvalidStatus():
            status = error.response.status_code
            code = _OUR_FAULT if status in (401, 403, 404) else ABNORMAL
            return code, f"the handshake was answered with HTTP {status}"
        case ConnectionClosed():
            return ABNORMAL if error.rcvd is None else error.rcvd.code, str(error)
        case OSError() | InvalidHandshake() | TimeoutError():
            return ABNORMAL, f"{type(error).__name__}: {error}"
        case _:
            return _OUR_FAULT, f"{type(error).__name__}: {error}"


def without_goodbye(sock: socket.socket) -> None:
    """Have close send RST: the other side learns as little as from a network that is gone.

    Raises:
        OSError: it is closed already.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
