"""Sockets that come, ask and leave: nobody waits for the many of one user, and nothing is read for who is out."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from stack.accounts.models import Session, User
from stack.chat.models import Chat
from stack.config.tests.test_live_hub import head, play, rename, running, sign_in, who
from stack.live import hub as hubs
from stack.live import process
from stack.live.connection import Connection
from stack.live.db import readers
from stack.live.draining import Draining
from stack.live.frames import Close
from stack.live.hub import Hub
from stack.live.limits import Places
from stack.live.process import Process
from stack.live.snapshot import read_snapshot
from stack.live.socket import live_socket
from stack.live.tests.wire import Wire

pytestmark = pytest.mark.usefixtures("transactional_db")

HELLO = '{"type":"hello","cursor":null}'


class Client:
    """One socket as a server hands it to the application."""

    def __init__(self, key: str) -> None:
        self.wire = Wire()
        self.says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.says.put_nowait({"type": "websocket.connect"})
        scope = {"headers": [(b"cookie", f"{settings.SESSION_COOKIE_NAME}={key}".encode())]}
        self.served = asyncio.create_task(live_socket(scope, self.says.get, self._send))

    def say(self, text: str) -> None:
        self.says.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self.says.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] != "websocket.accept":
            await self.wire.send(message)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    @asynccontextmanager
    async def served() -> AsyncIterator[Hub]:
        async with running() as hub:
            here = Process(hub, Places(100), Draining(list, within=1), asyncio.get_running_loop())
            monkeypatch.setattr(process, "_process", here)
            yield hub

    return served


def test_the_many_sockets_of_one_user_do_not_make_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()

    def slow(user: int) -> dict[str, Any]:
        assert may_go_on.wait(10)
        return read_snapshot(user)

    async def story(anna: User, chat: Chat) -> None:
        async with running() as hub:
            monkeypatch.setattr(hubs, "read_snapshot", slow)
            identity = await readers.run(who, anna)
            wires = [Wire() for _ in range(20)]
            joins = []
            for wire in wires:
                socket = Connection(
                    wire.send, user=anna.pk, session=identity.session, expires=identity.expires, abort=wire.abort
                )
                joins.append(asyncio.create_task(hub.join(socket, identity, None)))
            await asyncio.sleep(0)
            try:
                async with asyncio.timeout(5):
                    await readers.run(head)
            finally:
                may_go_on.set()
            await asyncio.gather(*joins)
            for wire in wires:
                await wire.caught_up()

    play(story)


@pytest.mark.parametrize("by", ["leaving", "nonsense"])
def test_who_is_gone_before_its_turn_costs_no_snapshot(serve: Any, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    reads = 0

    def counted(user: int) -> dict[str, Any]:
        nonlocal reads
        reads += 1
        return read_snapshot(user)

    async def story(anna: User, chat: Chat) -> None:
        monkeypatch.setattr(hubs, "read_snapshot", counted)
        key = await readers.run(sign_in, anna)
        async with serve() as hub:
            # Another of the user's sockets is being answered.
            async with hub.turn_of(anna.pk):
                client = Client(key)
                client.say(HELLO)
                if by == "leaving":
                    client.leave()
                else:
                    client.say("nonsense")
                async with asyncio.timeout(5):
                    await client.served
            await readers.run(head)
            assert (reads, len(hub.roster)) == (0, 0)
            assert client.wire.code == (None if by == "leaving" else Close.MALFORMED)

    play(story)


def test_what_was_asked_before_the_welcome_is_answered(serve: Any) -> None:
    async def story(anna: User, chat: Chat) -> None:
        async with serve():
            client = Client(await readers.run(sign_in, anna))
            client.say(HELLO)
            for number in range(3):
                client.say(json.dumps({"type": "load", "id": number, "scope": f"chat:{chat.pk}"}))
            await client.wire.has(6)
            kinds = [frame["type"] for frame in client.wire.frames if frame["type"] != "presence"]
            assert kinds == ["welcome", "snapshot", "heartbeat", "scope", "scope", "scope"]
            client.leave()
            async with asyncio.timeout(5):
                await client.served

    play(story)


@pytest.mark.parametrize("frame", ["load", "page"])
@pytest.mark.parametrize("over", ["disabled", "signed out", "password", "expired"])
def test_who_is_out_is_answered_nothing_though_no_relay_has_said_so(serve: Any, frame: str, over: str) -> None:
    def end(anna: User) -> None:
        if over == "disabled":
            User.objects.filter(pk=anna.pk).update(is_active=False)
        elif over == "signed out":
            Session.objects.all().delete()
        elif over == "password":
            User.objects.filter(pk=anna.pk).update(password="another")
        else:
            Session.objects.update(expire_date="2000-01-01T00:00Z")

    async def story(anna: User, chat: Chat) -> None:
        async with serve():
            client = Client(await readers.run(sign_in, anna))
            client.say(HELLO)
            await client.wire.caught_up()
            told = [f for f in client.wire.frames if f["type"] != "presence"]
            await readers.run(end, anna)
            asked = {"type": frame, "id": 1, "scope": f"chat:{chat.pk}", "entity": "message", "before": [5, 5]}
            client.say(json.dumps(asked))
            async with asyncio.timeout(5):
                await client.served
            assert client.wire.code == Close.SIGNED_OUT
            assert [f for f in client.wire.frames if f["type"] != "presence"] == told

    play(story)


@pytest.mark.parametrize("ring", [5000, 1], ids=["of the ring", "of the log"])
def test_who_missed_much_gets_a_snapshot_however_few_events_it_was(monkeypatch: pytest.MonkeyPatch, ring: int) -> None:
    async def joined(hub: Hub, anna: User, cursor: Any) -> bool:
        wire, identity = Wire(), await readers.run(who, anna)
        socket = Connection(
            wire.send, user=anna.pk, session=identity.session, expires=identity.expires, abort=wire.abort
        )
        await hub.join(socket, identity, cursor)
        await wire.caught_up()
        return bool(wire.frames[0]["resumed"])

    async def story(anna: User, chat: Chat) -> None:
        cursor = await readers.run(head)
        await readers.run(rename, chat, 4)
        async with running(ring=ring) as hub:
            assert await joined(hub, anna, cursor)
            # An event holds the whole chat.
            monkeypatch.setattr(hubs, "MOST_BYTES_REPLAYED", 200)
            assert not await joined(hub, anna, cursor)

    play(story)


def test_a_new_hub_reads_no_more_than_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(anna: User, chat: Chat) -> None:
        await readers.run(rename, chat, 6)

        def after(most: int) -> int:
            monkeypatch.setattr(hubs, "MOST_BYTES", most)
            with connection.cursor() as cursor:
                return hubs._newest_after(cursor, 0)

        def size_of_newest(count: int) -> int:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT sum(octet_length(ops)) FROM (SELECT ops FROM live_event ORDER BY seq DESC LIMIT %s) AS e",
                    [count],
                )
                return int(cursor.fetchone()[0])

        last = (await readers.run(head)).seq
        size = await readers.run(size_of_newest, 2)
        assert await readers.run(after, size) == last - 2
        assert await readers.run(after, size - 1) == last - 1
        assert await readers.run(after, 2**40) == 0

    play(story)
