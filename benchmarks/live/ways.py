"""Ways to publish a change, one for each subject; they run in a process of their own.

Each imports what it needs when it is used: a publisher starts many times in one run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Any

from benchmarks.live.wire import COOKIE, HEADER, MARK, ORIGIN, mark

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

PADDING = "lorem ipsum dolor sit amet"
SQL_NUMBERS = 1_000_000_000
"""From here on, so that writers by SQL and by REST don't take each other's numbers of a chat."""


class Way(ABC):
    """One way to publish. `publish` gives the time at which that was done (seconds of the shared clock)."""

    async def prepare(self, ending: AsyncExitStack) -> None:  # noqa: B027 - not every way has to
        """Connect; whatever has to be closed goes on the stack."""

    def begin(self, order: Mapping[str, Any]) -> None:  # noqa: B027 - nor to know of them
        """More changes are about to come; ``order`` is what the benchmark says about them."""

    @abstractmethod
    async def publish(self, number: int) -> float:
        """Publish a change."""


class Rest(Way):
    """A message sent as a signed-in client does; the answer says when it was committed."""

    def __init__(self, *, address: str, chat: int, session: str) -> None:
        self._url = f"http://{address}/api/chats/{chat}/messages"
        token = uuid.uuid4().hex
        self._headers = {
            "Cookie": f"{COOKIE}={session}; csrftoken={token}",
            "X-CSRFToken": token,
            "Origin": ORIGIN,
            "X-Forwarded-Proto": "https",
        }

    async def prepare(self, ending: AsyncExitStack) -> None:
        import aiohttp

        jar = aiohttp.DummyCookieJar()
        self._http = await ending.enter_async_context(aiohttp.ClientSession(cookie_jar=jar, headers=self._headers))

    async def publish(self, number: int) -> float:
        message = {"client_id": str(uuid.uuid4()), "text": f"{mark(number)} {PADDING}"}
        async with self._http.post(self._url, json=message) as answer:
            text = await answer.text()
            if answer.status != 201:
                raise RuntimeError(f"a message was answered with {answer.status}: {text[:300]}")
            return float(answer.headers[HEADER])


class Sql(Way):
    """A message inserted by a statement of its own transaction."""

    def __init__(self, *, database: str, chat: int, writer: int) -> None:
        self._database = database
        self._row = (chat, writer)

    async def prepare(self, ending: AsyncExitStack) -> None:
        import psycopg

        connection = await psycopg.AsyncConnection.connect(self._database, autocommit=True)
        self._connection = await ending.enter_async_context(connection)
        # Other publishers have written here before, of changes with the same numbers.
        found = await connection.execute(
            "SELECT coalesce(max(number) + 1, %(from)s) FROM chat_message"
            " WHERE chat_id = %(chat)s AND number >= %(from)s",
            {"chat": self._row[0], "from": SQL_NUMBERS},
        )
        row = await found.fetchone()
        assert row is not None
        self._numbers = count(row[0])

    async def publish(self, number: int) -> float:
        await self._connection.execute(
            "INSERT INTO chat_message (chat_id, sender_id, client_id, number, text)"
            " VALUES (%s, %s, gen_random_uuid(), %s, %s)",
            (*self._row, next(self._numbers), f"{mark(number)} {PADDING}"),
        )
        return time.monotonic()


class _Layer(Way):
    """Through a channel layer."""

    def __init__(self, *, redis: str, prefix: str, group: str) -> None:
        from channels_redis.pubsub import RedisPubSubChannelLayer

        self._layer = RedisPubSubChannelLayer(hosts=[redis], prefix=prefix)
        self._group = group

    async def prepare(self, ending: AsyncExitStack) -> None:
        ending.push_async_callback(self._layer.flush)

    async def publish(self, number: int) -> float:
        message = self._message(number)
        at = time.monotonic()
        await self._layer.group_send(self._group, message)
        return at

    @abstractmethod
    def _message(self, number: int) -> dict[str, Any]:
        """What tells of the change."""


class Stock(_Layer):
    """``group_send`` as Channels' documentation has it."""

    def __init__(self, *, text: str, **layer: str) -> None:
        super().__init__(**layer)
        self._text = text

    def _message(self, number: int) -> dict[str, Any]:
        return {"type": "chat.message", "message": MARK.sub(mark(number), self._text)}


class Hub(_Layer):
    """The relay's message, without a database: as if a transaction with one event had just been relayed.

    The order's ``log`` says where the log stands and what an event of the scope looks like.
    """

    _log: dict[str, Any]

    def begin(self, order: Mapping[str, Any]) -> None:
        self._log = dict(order["log"])

    def _message(self, number: int) -> dict[str, Any]:
        log = self._log
        log["seq"] += 1
        event = [log["seq"], log["scope"], log["prev"], MARK.sub(mark(number), log["ops"]), False]
        log["prev"] = log["seq"]
        return {"type": "live.batch", "epoch": log["epoch"], "seq": log["seq"], "events": [event]}


class Bare(Way):
    """A text over a socket to the server, which writes it to all others."""

    def __init__(self, *, address: str, text: str) -> None:
        self._url = f"ws://{address}/publish"
        self._text = text

    async def prepare(self, ending: AsyncExitStack) -> None:
        from websockets.asyncio.client import connect

        self._socket: ClientConnection = await ending.enter_async_context(connect(self._url, proxy=None))

    async def publish(self, number: int) -> float:
        text = self._frame(MARK.sub(mark(number), self._text))
        at = time.monotonic()
        await self._socket.send(text)
        return at

    def _frame(self, text: str) -> str:
        return text


class SocketIo(Bare):
    """The same by an event of socket.io, which the server emits to all."""

    def __init__(self, *, address: str, text: str) -> None:
        super().__init__(address=address, text=text)
        self._url = f"ws://{address}/socket.io/?EIO=4&transport=websocket"

    async def prepare(self, ending: AsyncExitStack) -> None:
        await super().prepare(ending)
        await self._socket.send("40")
        while not str(await self._socket.recv()).startswith("40"):
            pass
        answering = asyncio.create_task(self._answer())
        ending.callback(answering.cancel)

    async def _answer(self) -> None:
        # It is told of its own changes too, and asked whether it lives.
        with contextlib.suppress(OSError):
            async for text in self._socket:
                if text == "2":
                    await self._socket.send("3")

    def _frame(self, text: str) -> str:
        return "42" + json.dumps(["publish", text], separators=(",", ":"))


WAYS: Mapping[str, type[Way]] = {
    "rest": Rest,
    "sql": Sql,
    "stock": Stock,
    "hub": Hub,
    "bare": Bare,
    "socketio": SocketIo,
}
