"""What lies below ASGI: the server's own side of a socket, for what ASGI has no words for.

Everything that is known of uvicorn stands here. Under another server sockets work as well, with ASGI's means alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import proxy

from websockets.frames import CloseCode, Frame
from websockets.protocol import State

if TYPE_CHECKING:
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_PONGS = 64 * 1024
"""Bytes of answers to pings that may wait behind what a client has not taken."""

MOST_FRAGMENTS = 1000
"""Of one message: empty ones weigh nothing and would never be too large."""


def transport(send: Callable[..., Any]) -> asyncio.WriteTransport | None:
    """The connection itself, where the server's ``send`` leads to it."""
    found = getattr(getattr(send, "__self__", None), "transport", None)
    return found if callable(getattr(found, "abort", None)) else None


def writer(send: Callable[..., Any]) -> Callable[[bytes], bool] | None:
    """How to write frames of a socket past ASGI's ``send``, once it was accepted.

    Returns:
        A function that writes a frame and says True, or does nothing and says False: the network takes no more now, or
        the socket is closing, and `send` knows what to do. None where the server is not uvicorn as the stack runs it,
        or compresses what it sends.
    """
    protocol = _protocol(send)
    if protocol is None or protocol.conn.extensions:
        return None

    def write(data: bytes) -> bool:
        if protocol.close_sent or protocol.disconnected or not protocol.writable.is_set():
            return False
        if protocol.conn.state is not State.OPEN:
            return False
        try:
            protocol.transport.write(data)
        except (OSError, RuntimeError):
            # One that fails must not keep the others from theirs.
            return False
        return True

    return write


def limit(send: Callable[..., Any]) -> None:
    """Bound what uvicorn keeps for a client below the application, whatever that sends."""
    protocol = _protocol(send)
    if protocol is not None:
        _answer_few_pings(protocol)
        _take_few_fragments(protocol)


def _answer_few_pings(protocol: WebSocketsSansIOProtocol) -> None:
    """Have only a few pings of a client answered that does not read.

    uvicorn answers all of them, also after its close frame, and keeps the answers until the client takes them. One that
    is left out is no fault: an answer may speak for all pings before it (RFC 6455, section 5.5.3).
    """
    # Not the protocol itself, which would keep itself alive.
    conn, writable, transport = protocol.conn, protocol.writable, protocol.transport

    waiting = 0

    def answer() -> None:
        nonlocal waiting
        data = b"".join(conn.data_to_send())
        waiting = 0 if writable.is_set() else waiting + len(data)
        # One that is behind with a large frame still learns that the connection lives.
        if waiting <= MOST_PONGS:
            transport.write(data)

    protocol.handle_ping = answer  # type: ignore[method-assign]  # the one place where it decides


def _take_few_fragments(protocol: WebSocketsSansIOProtocol) -> None:
    """Have a message in very many fragments closed as one that is too large."""
    weak, take = proxy(protocol), type(protocol).handle_cont

    def handle_cont(event: Frame) -> None:
        if weak.close_sent:
            return
        if len(weak.frames) < MOST_FRAGMENTS:
            take(weak, event)
        else:
            weak.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
            weak.handle_parser_exception()

    protocol.handle_cont = handle_cont  # type: ignore[method-assign]  # the one place where they are kept


def _protocol(send: Callable[..., Any]) -> WebSocketsSansIOProtocol | None:
    try:
        from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
    except ImportError:
        return None
    protocol = getattr(send, "__self__", None)
    return protocol if isinstance(protocol, WebSocketsSansIOProtocol) else None
