"""A channel layer that loses, repeats and reorders batches when it is told to. For development and tests only.

What it does stands in the Redis hash ``stack:lossy``: ``drop``, ``duplicate`` and ``reorder``, each the share of
received messages (0 to 1) that this happens to. Without the hash nothing does. What was done is counted in the hash
``stack:lossy:counts`` under the same names.

Each receiver draws for itself, as pub/sub too loses messages for some and not for others.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import redis.asyncio
from channels_redis.pubsub import RedisPubSubChannelLayer

HARMS = ("drop", "duplicate", "reorder")
ASKED_EVERY = 0.2
"""Seconds for which what was read holds."""

_WITHIN = 0.5


class LossyChannelLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # channels_redis has no types
    """Redis' pub/sub layer with bad manners.

    Args:
        control: URL of the Redis that holds the hashes.
        prefix: what the names of its keys begin with.
        draw: gives numbers in [0, 1).
    """

    def __init__(
        self, *args: Any, control: str, prefix: str, draw: Callable[[], float] = random.random, **kwargs: Any
    ) -> None:
        super().__init__(*args, prefix=prefix, **kwargs)
        self._control = control
        self._rates_key, self._counts_key = f"{prefix}:lossy", f"{prefix}:lossy:counts"
        self._draw = draw
        self._known: dict[str, float] = {}
        self._known_until = 0.0
        self._due: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self._held: dict[str, dict[str, Any]] = {}

    async def receive(self, channel: str) -> dict[str, Any]:
        due = self._due[channel]
        while not due:
            message = await self._get_layer().receive(channel)
            await self._take(channel, message)
        return due.popleft()

    async def _take(self, channel: str, message: dict[str, Any]) -> None:
        harm = self._choose(await self._rates())
        due, held = self._due[channel], self._held.pop(channel, None)
        if harm == "reorder" and held is None:
            # Its turn comes after the next one, which the channel may have to wait for.
            self._held[channel] = message
            return
        if harm != "drop":
            due.extend([message] * (2 if harm == "duplicate" else 1))
        if held is not None:
            due.append(held)
        if harm in ("drop", "duplicate"):
            await self._count(harm)
        if held is not None and harm != "drop":
            await self._count("reorder")

    def _choose(self, rates: Mapping[str, float]) -> str:
        drawn = self._draw()
        for harm in HARMS:
            drawn -= rates.get(harm, 0.0)
            if drawn < 0:
                return harm
        return ""

    async def _rates(self) -> dict[str, float]:
        if time.monotonic() >= self._known_until:
            self._known = await self._read_rates()
            self._known_until = time.monotonic() + ASKED_EVERY
        return self._known

    async def _read_rates(self) -> dict[str, float]:
        try:
            async with self._client() as client:
                found = await cast("Awaitable[dict[bytes, bytes]]", client.hgetall(self._rates_key))
            return {name.decode(): float(value) for name, value in found.items()}
        except (redis.RedisError, OSError, ValueError):
            return {}

    async def _count(self, harm: str) -> None:
        try:
            async with self._client() as client:
                await cast("Awaitable[int]", client.hincrby(self._counts_key, harm, 1))
        except (redis.RedisError, OSError):
            # A Redis that is away loses enough by itself.
            return

    def _client(self) -> redis.asyncio.Redis:
        # A connection for each question: slow, and bound to no event loop.
        return redis.asyncio.Redis.from_url(self._control, socket_timeout=_WITHIN, socket_connect_timeout=_WITHIN)
