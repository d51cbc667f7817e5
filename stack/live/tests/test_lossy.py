"""The lossy channel layer on a real Redis: each harm happens, is counted, and ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence

import pytest
import redis
from django.conf import settings

from stack.live.lossy import LossyChannelLayer

WITHIN = 5.0


def through(
    rates: dict[str, float], numbers: Sequence[int], *, draws: Sequence[float], take: int
) -> tuple[list[int], dict[bytes, bytes]]:
    """What arrives of the numbers that are sent, and what was counted."""
    prefix = f"lossy-{secrets.token_hex(4)}"
    drawn = iter(draws)
    draw: Callable[[], float] = lambda: next(drawn)  # noqa: E731 - its type is what matters here

    async def whole() -> list[int]:
        layer = LossyChannelLayer(hosts=[settings.REDIS_URL], control=settings.REDIS_URL, prefix=prefix, draw=draw)
        channel = await layer.new_channel()
        await layer.group_add("all", channel)
        for number in numbers:
            await layer.group_send("all", {"type": "number", "number": number})
        async with asyncio.timeout(WITHIN):
            return [(await layer.receive(channel))["number"] for _ in range(take)]

    with redis.Redis.from_url(settings.REDIS_URL) as client:
        if rates:
            client.hset(f"{prefix}:lossy", mapping=dict(rates))
        try:
            return asyncio.run(whole()), client.hgetall(f"{prefix}:lossy:counts")
        finally:
            client.delete(f"{prefix}:lossy", f"{prefix}:lossy:counts")


RATES = {"drop": 0.1, "duplicate": 0.1, "reorder": 0.1}
FINE, DROP, DUPLICATE, REORDER = 0.9, 0.05, 0.15, 0.25


@pytest.mark.parametrize(
    ("draws", "arrive", "counts"),
    [
        ((FINE, FINE, FINE), [1, 2, 3], {}),
        ((DROP, FINE, FINE), [2, 3], {b"drop": b"1"}),
        ((FINE, DUPLICATE, FINE), [1, 2, 2, 3], {b"duplicate": b"1"}),
        ((REORDER, FINE, FINE), [2, 1, 3], {b"reorder": b"1"}),
        ((REORDER, DUPLICATE, FINE), [2, 2, 1, 3], {b"reorder": b"1", b"duplicate": b"1"}),
        # Nothing came between: the one that was held is late, and no other order.
        ((REORDER, DROP, FINE), [1, 3], {b"drop": b"1"}),
        ((REORDER, REORDER, FINE), [2, 1, 3], {b"reorder": b"1"}),
    ],
)
def test_each_message_suffers_what_was_drawn(
    draws: Sequence[float], arrive: list[int], counts: dict[bytes, bytes]
) -> None:
    assert through(RATES, (1, 2, 3), draws=draws, take=len(arrive)) == (arrive, counts)


def test_without_rates_everything_arrives() -> None:
    assert through({}, range(20), draws=[0.0] * 20, take=20) == (list(range(20)), {})
