"""One socket, as the hub sees it: text goes in at once, the network takes it when it can."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from stack.live.frames import Close

MOST_PENDING = 1024 * 1024
CLOSE_WITHIN = 5.0


class Connection:
    """A client's socket with what waits to be written. An idle one has neither queue nor task.

    Args:
        send: ASGI's send.
        user: the signed-in user's id.
        session: digest of the session it was opened with.
        abort: ends the socket where even a close frame cannot be written.
    """

    __slots__ = ("_abort", "_bytes", "_closing", "_pending", "_send", "_writer", "scopes", "session", "user")

    def __init__(
        self, send: Callable[[Any], Awaitable[None]], *, user: int, session: str, abort: Callable[[], object]
    ) -> None:
        self.user = user
        self.session = session
        self.scopes: set[str] = set()
        self._send = send
        self._abort = abort
        self._pending: deque[str] | None = None
        self._bytes = 0
        self._closing: Close | None = None
        self._writer: asyncio.Task[None] | None = None

    def push(self, text: str, *, counted: bool = True) -> None:
        """Queue a frame. A client that takes too long to read is closed and may resume.

        Args:
            counted: False for answers the client asked for, which may be larger than what it may leave unread.
        """
        if self._closing is not None:
            return
        if self._pending is None:
            self._pending = deque()
        self._pending.append(text)
        self._bytes += len(text) if counted else 0
        if self._bytes > MOST_PENDING:
            self._pending.clear()
            self.close(Close.TOO_SLOW)
        elif self._writer is None:
            self._writer = asyncio.create_task(self._write())

    def close(self, code: Close) -> None:
        """Close once everything queued is written; the first code counts."""
        if self._closing is not None:
            return
        self._closing = code
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        asyncio.get_running_loop().call_later(CLOSE_WITHIN, self._abort)

    def discard(self) -> None:
        """The socket is gone: drop what waits."""
        self._closing = self._closing or Close.RESUME
        if self._writer is not None:
            self._writer.cancel()

    async def _write(self) -> None:
        try:
            while self._pending:
                await self._send({"type": "websocket.send", "text": self._pending.popleft()})
                if not self._pending:
                    self._bytes = 0
            self._pending = None
            if self._closing is not None:
                await self._send({"type": "websocket.close", "code": int(self._closing)})
        except (OSError, RuntimeError):
            # Servers say by either that the client has gone; the receiving side sees it too and leaves the hub.
            self._closing = self._closing or Close.RESUME
        finally:
            self._writer = None
