"""Texts that are encoded once for all the sockets that get them.

ASGI has every text encoded anew for every socket, which costs more than all else that the hub does with an event. What
a server sends is not masked (RFC 6455, section 5.1), so that without compression the bytes are the same for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from websockets.frames import Frame, Opcode
from websockets.protocol import State

if TYPE_CHECKING:
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


MOST_PONGS = 64 * 1024
"""Bytes of answers to pings that may wait behind what a client has not taken."""


class Prepared:
    """A text frame.

    Attributes:
        size: of the text, in bytes.
        data: the whole frame as it is on the wire.
    """

    __slots__ = ("data", "size", "text")

    def __init__(self, text: str) -> None:
        payload = text.encode()
        self.text = text
        self.size = len(payload)
        self.data = Frame(Opcode.TEXT, payload).serialize(mask=False)


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


def answer_few_pings(send: Callable[..., Any]) -> None:
    """Have only a few pings of a client answered that does not read.

    uvicorn answers all of them, also after its close frame, and keeps the answers until the client takes them. One that
    is left out is no fault: an answer may speak for all pings before it (RFC 6455, section 5.5.3).
    """
    protocol = _protocol(send)
    if protocol is None:
        return

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


def _protocol(send: Callable[..., Any]) -> WebSocketsSansIOProtocol | None:
    try:
        from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
    except ImportError:
        return None
    protocol = getattr(send, "__self__", None)
    return protocol if isinstance(protocol, WebSocketsSansIOProtocol) else None
