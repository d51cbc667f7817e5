"""One socket, as the hub sees it: text goes in at once, the network takes it when it can."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any

from stack.live.frames import Close
from stack.live.prepared import Prepared

logger = logging.getLogger(__name__)

MOST_PENDING = 1024 * 1024
"""Bytes of events that may wait for one client: some seconds of a busy chat on a slow line, and no more memory."""
CLOSE_WITHIN = 5.0
STUCK_AFTER = 50.0
"""Seconds for which the network may take nothing at all: by then it has not answered the server's ping either."""

closes: Counter[Close] = Counter()
"""How many sockets this process has closed, by code."""


class Connection:
    """A client's socket with what waits to be written. An idle one has neither queue nor task.

    Args:
        send: ASGI's send.
        user: the signed-in user's id.
        session: digest of the session it was opened with.
        expires: when that session runs out, by this process's monotonic clock.
        write: the short way for frames, if there is one; see `stack.live.server.writer`.
        abort: ends the socket where even a close frame cannot be written.
    """

    __slots__ = (
        "_abort",
        "_closing",
        "_pending",
        "_send",
        "_since",
        "_waiting",
        "_write",
        "_writer",
        "expires",
        "scopes",
        "session",
        "user",
    )

    def __init__(
        self,
        send: Callable[[Any], Awaitable[None]],
        *,
        user: int,
        session: str,
        expires: float,
        abort: Callable[[], object],
        write: Callable[[bytes], bool] | None = None,
    ) -> None:
        self.user = user
        self.session = session
        self.expires = expires
        self.scopes: set[str] = set()
        self._send = send
        self._abort = abort
        self._write = write
        self._pending: deque[tuple[str, int]] | None = None
        self._waiting = 0
        self._since = 0.0
        self._closing: Close | None = None
        self._writer: asyncio.Task[None] | None = None

    def push(self, text: str | Prepared, *, counted: bool = True) -> None:
        """Write a frame, or queue it. A client that leaves more than it may unread is closed and may resume.

        Args:
            text: whoever gives one to many prepares it.
            counted: False for what a client is brought up to date with, which may be larger: it says nothing about
                how fast its reader is.
        """
        if self._closing is not None:
            return
        if isinstance(text, str):
            text = Prepared(text)
        # While the network takes what it is given nothing waits, and no task is needed.
        if self._writer is None and self._write is not None and self._write(text.data):
            return
        if self._pending is None:
            self._pending = deque()
        weight = text.size if counted else 0
        # One frame alone never closes a socket, however large: its reader has not been slow.
        if counted and self._pending and self._waiting and self._waiting + weight > MOST_PENDING:
            self._pending.clear()
            self.close(Close.TOO_SLOW)
            return
        self._pending.append((text.text, weight))
        self._waiting += weight
        self._start()

    def close(self, code: Close) -> None:
        """Close once everything queued is written; the first code counts."""
        if self._closing is not None:
            return
        self._closing = code
        closes[code] += 1
        self._start()
        self._end_soon()

    @property
    def waiting(self) -> int:
        """Bytes that the client has not taken yet, of what is counted."""
        return self._waiting

    async def drained(self) -> None:
        """Return once nothing waits to be written: who asks much has to read as much."""
        while self._writer is not None:
            await asyncio.wait({self._writer})

    def close_if_stuck(self, now: float) -> None:
        """Close it if the network has taken nothing for long; ``now`` by the monotonic clock."""
        if self._writer is not None and now - self._since > STUCK_AFTER:
            self.close(Close.TOO_SLOW)

    def discard(self) -> None:
        """The socket is gone: drop what waits."""
        self._closing = self._closing or Close.RESUME
        if self._writer is not None:
            self._writer.cancel()

    def _start(self) -> None:
        if self._writer is None:
            self._since = time.monotonic()
            self._writer = asyncio.create_task(self._write_pending())

    async def _write_pending(self) -> None:
        try:
            while self._pending:
                text, weight = self._pending.popleft()
                self._since = time.monotonic()
                await self._send({"type": "websocket.send", "text": text})
                self._waiting -= weight
            self._pending = None
            self._waiting = 0
            if self._closing is not None:
                await self._send({"type": "websocket.close", "code": int(self._closing)})
        except (OSError, RuntimeError):
            # Servers say by either that the client has gone. The receiving side sees it too and leaves the hub, unless
            # the server waits for what it has written to be read first.
            self._closing = self._closing or Close.RESUME
            self._end_soon()
        except Exception:
            logger.exception("live: a frame could not be written")
            self._closing = self._closing or Close.RESUME
            self._abort()
        finally:
            self._writer = None

    def _end_soon(self) -> None:
        asyncio.get_running_loop().call_later(CLOSE_WITHIN, self._abort)
