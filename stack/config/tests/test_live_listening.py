"""A hub that hears the relays through Redis, and what it makes of a Redis that is away or of words it does not know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisSingleShardConnection

from stack.accounts.models import User
from stack.chat.models import Chat
from stack.config.tests.test_live_hub import head, join, play, rename, running, who
from stack.live import hub as hubs
from stack.live.db import readers
from stack.live.relay import GROUP

pytestmark = pytest.mark.usefixtures("transactional_db")


def layer() -> Any:
    found = get_channel_layer()
    assert found is not None
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "message",
    [{}, {"type": "live.batch"}, {"type": "live.signals"}, {"type": "live.batch", "events": [[1, "chat:1", 0, "[]"]]}],
    ids=["nothing", "no batch", "no signals", "of another version"],
)
def test_a_message_that_is_not_understood_costs_one_warning(
    message: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is learnt then was not found by looking.
    monkeypatch.setattr(hubs, "_POLL", 60.0)

    async def story(anna: User, chat: Chat) -> None:
        at = await readers.run(head)
        async with running() as hub:
            await until(lambda: len(layer().groups) == 2)
            wire, _ = await join(hub, await readers.run(who, anna), None)
            (channel,) = layer().channels
            sent = {"epoch": at.epoch, "seq": at.seq, **message} if "type" in message else message
            for titles, count in ((1, 1), (2, 3)):
                await readers.run(rename, chat, titles)
                await layer().group_send(GROUP, sent)
                await wire.until(lambda: len(wire.seqs()) == count)  # noqa: B023 - it is waited for at once
            assert list(layer().channels) == [channel]

    play(story)
    assert caplog.text.count("not understood") == 1
    assert "Traceback" not in caplog.text


def test_while_redis_is_away_nothing_is_left_of_each_attempt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hubs, "_RETRY", 0.01)
    attempts = 0
    subscribe: Callable[..., Awaitable[None]] = RedisSingleShardConnection.subscribe

    async def away(shard: Any, channel: str) -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= 7:
            raise redis.ConnectionError("refused")
        await subscribe(shard, channel)

    monkeypatch.setattr(RedisSingleShardConnection, "subscribe", away)

    async def story(anna: User, chat: Chat) -> None:
        async with running():
            await until(lambda: attempts == 10)
            assert len(layer().channels) == 1
            assert [len(channels) for channels in layer().groups.values()] == [1, 1]

    play(story)
    assert caplog.text.count("Redis is away") == 7
    assert "Traceback" not in caplog.text
