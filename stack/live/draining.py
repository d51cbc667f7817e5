"""How a server process lets its sockets go before it ends, so that they do not all come back in one moment.

Servers end on SIGTERM at once: every socket is closed in the same instant, and the clients' reconnects meet the other
processes as one wave. So the signal is taken first, the sockets are closed one after another in random order, and only
then is the server told. It goes on serving HTTP meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import threading
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any

from stack.live.connection import Connection
from stack.live.frames import Close

logger = logging.getLogger(__name__)

PACE = 0.01
"""Seconds from one close to the next, where LIVE_DRAIN leaves so much: about what a reconnect costs."""
GONE_WITHIN = 2.0
"""Seconds in which the last clients may confirm that they are closed; what is left then, the server ends."""

_LOOKS_EVERY = 0.02


class Draining:
    """Stands between SIGTERM and the server.

    Args:
        sockets: those that are open, asked again and again.
        within: seconds that closing them may take.

    Attributes:
        begun: new sockets are refused.
    """

    def __init__(self, sockets: Callable[[], Collection[Connection]], *, within: float) -> None:
        self.begun = False
        self._sockets = sockets
        self._within = within
        self._former: Callable[[int, FrameType | None], Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def stand_by(self) -> None:
        """Take SIGTERM from the server that handles it; where none does, or on another thread, all stays as it is."""
        if threading.current_thread() is not threading.main_thread():
            return
        former = signal.getsignal(signal.SIGTERM)
        if callable(former):
            self._former = former
            self._loop = asyncio.get_running_loop()
            signal.signal(signal.SIGTERM, self._asked)

    def stand_down(self) -> None:
        """Give SIGTERM back."""
        if self._task is not None:
            self._task.cancel()
        if self._former is not None and signal.getsignal(signal.SIGTERM) == self._asked:
            signal.signal(signal.SIGTERM, self._former)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        assert self._former is not None
        assert self._loop is not None
        if self.begun:
            # Whoever asks twice does not want to wait.
            self._former(number, frame)
            return
        self.begun = True
        self._loop.call_soon_threadsafe(self._begin, number)

    def _begin(self, number: int) -> None:
        self._task = asyncio.create_task(self._drain(number))

    async def _drain(self, number: int) -> None:
        try:
            await self._close_all()
        finally:
            assert self._former is not None
            self._former(number, None)

    async def _close_all(self) -> None:
        sockets = list(self._sockets())
        if not sockets:
            return
        logger.info("live: %d sockets are closed before the end", len(sockets))
        random.shuffle(sockets)
        loop = asyncio.get_running_loop()
        began, pause = loop.time(), min(PACE, self._within / len(sockets))
        for number, socket in enumerate(sockets, 1):
            socket.close(Close.RESTART)
            # By the clock: pauses that are a little too long would add up.
            await asyncio.sleep(max(0.0, began + number * pause - loop.time()))
        deadline = loop.time() + GONE_WITHIN
        while self._sockets() and loop.time() < deadline:  # noqa: ASYNC110 - nothing tells when a set is empty
            await asyncio.sleep(_LOOKS_EVERY)
