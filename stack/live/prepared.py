"""Texts that are encoded once for all the sockets that get them.

ASGI has every text encoded anew for every socket, which costs more than all else that the hub does with an event. What
a server sends is not masked (RFC 6455, section 5.1), so that without compression the bytes are the same for everybody.
"""

from __future__ import annotations

from websockets.frames import Frame, Opcode


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
