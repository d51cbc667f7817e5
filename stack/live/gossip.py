"""Carries what `Signals` has to say: to this process's sockets and, through the Channels layer, to the other hubs."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import redis
from channels.layers import get_channel_layer

from stack.live.background import go_on
from stack.live.signals import GATHER, Signals

logger = logging.getLogger(__name__)

GROUP = "live.signals"

_SEND_WITHIN, _LEAVE_WITHIN = 1.0, 0.25


class Gossip:
    """Two tasks of a hub that sleep while there is nothing to say.

    Args:
        signals: what there is to say.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._for_sockets = asyncio.Event()
        self._for_hubs = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        signals.on_sockets = self._for_sockets.set
        signals.on_hubs = self._for_hubs.set

    def start(self) -> None:
        self._tasks = [go_on(work) for work in (self._tell_sockets, self._tell_hubs)]

    async def stop(self) -> None:
        """End the tasks and take leave of the other hubs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._publish(self._signals.farewell(), within=_LEAVE_WITHIN)

    async def _tell_sockets(self) -> None:
        while True:
            await self._for_sockets.wait()
            self._for_sockets.clear()
            while (at := self._signals.sockets_at) is not None:
                # What has changed since may be due before what was the first.
                await asyncio.sleep(min(max(0.0, at - time.monotonic()), GATHER))
                self._signals.tell_sockets()

    async def _tell_hubs(self) -> None:
        while True:
            try:
                async with asyncio.timeout(max(0.0, self._signals.hubs_at - time.monotonic())):
                    await self._for_hubs.wait()
            except TimeoutError:
                pass
            self._for_hubs.clear()
            message = self._signals.take_message()
            if message is not None and not await self._publish(message):
                self._signals.failed()

    async def _publish(self, message: dict[str, Any], *, within: float = _SEND_WITHIN) -> bool:
        layer = get_channel_layer()
        assert layer is not None
        try:
            # While one message is out, what comes to be said gathers for the next one.
            async with asyncio.timeout(within):
                await layer.group_send(GROUP, message)
        except (redis.RedisError, OSError, TimeoutError) as error:
            logger.debug("hub: a message about presence was not sent: %s", error)
            return False
        return True
