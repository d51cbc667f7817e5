"""The WebSocket endpoint: a lean ASGI application behind Channels' routing and Origin check.

It has no consumer and no group of its own: the hub writes to it, and it answers what clients ask (see
docs/live-protocol.md). Errors close the socket with a documented code, never with a traceback.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from django.db.utils import DatabaseError, InterfaceError

from stack.live import frames, log, server
from stack.live.connection import CLOSE_WITHIN, Connection, closes
from stack.live.db import readers
from stack.live.frames import Close, Hello, Load, Page, ProtocolError, Signal
from stack.live.hub import Hub, NotReady
from stack.live.identity import Identity, session_key, signed_in_by
from stack.live.limits import Requests
from stack.live.process import Process, current
from stack.live.snapshot import read_page, read_scope

logger = logging.getLogger(__name__)

READ_WITHIN = 10.0
"""Seconds in which a client may take what was written, and leave, after its socket was closed."""

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]


class Disconnected(Exception):
    """The client has gone."""


async def live_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI application for ``/live``; the Origin has been checked when it is called."""
    await receive()
    offered = scope.get("subprotocols", ())
    subprotocol = frames.SUBPROTOCOL if frames.SUBPROTOCOL in offered else None
    await send({"type": "websocket.accept", "subprotocol": subprotocol})
    server.limit(send)
    try:
        process = current()
        if process.draining.begun:
            raise ProtocolError(Close.RESTART, "the process is about to end")
        with process.places.one():
            await _serve(process, scope, receive, send)
    except ProtocolError as error:
        await _close(send, error.code)
    except (DatabaseError, InterfaceError, NotReady) as error:
        logger.warning("live: a socket has to come again: %s", str(error).partition("\n")[0])
        await _close(send, Close.RESUME)
    except Disconnected:
        pass
    except Exception:
        # Only a bug comes here; the client is served from the start, and the traceback tells the rest.
        logger.exception("live: a socket failed")
        await _close(send, Close.RESUME)
    finally:
        _end_soon(send)


class _Lifeline:
    """Ends a socket whose client does not read: a server waits for that, for ever if need be, and ASGI knows no way."""

    __slots__ = ("_send", "_task", "cut", "over")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._task = asyncio.current_task()
        self.cut = False
        self.over = False

    def abort(self) -> None:
        if not self.over and self._task is not None:
            self.cut = True
            self._task.cancel()
            if (transport := server.transport(self._send)) is not None:
                transport.abort()


def _end_soon(send: Send) -> None:
    # Even with nothing left to write: until the client has gone, there may be again. Afterwards this does nothing.
    if (transport := server.transport(send)) is not None:
        asyncio.get_running_loop().call_later(READ_WITHIN, transport.abort)


async def _close(send: Send, code: Close) -> None:
    closes[code] += 1
    # The client may have gone in the same moment, or not read at all; servers say so by these.
    with contextlib.suppress(OSError, RuntimeError, TimeoutError):
        async with asyncio.timeout(CLOSE_WITHIN):
            await send({"type": "websocket.close", "code": int(code)})


async def _serve(process: Process, scope: Scope, receive: Receive, send: Send) -> None:
    hub = process.hub
    key = session_key(scope["headers"])
    # The server holds them for as long as the socket lives, and nobody reads them again.
    scope["headers"].clear()
    identity = None if key is None else await hub.authenticator.identify(key)
    if identity is None:
        raise ProtocolError(Close.SIGNED_OUT, "no session")
    with process.places.one_of(identity.user):
        hello = await _hello(receive)
        lifeline = _Lifeline(send)
        socket = Connection(
            send,
            user=identity.user,
            session=identity.session,
            expires=identity.expires,
            abort=lifeline.abort,
            write=server.writer(send),
        )
        requests = Requests(partial(_text, receive))
        try:
            await requests.during(hub.join(socket, identity, hello.cursor))
            # The socket has its own by now.
            identity = replace(identity, scopes=frozenset())
            if process.draining.begun:
                # It came in while the others were being closed.
                socket.close(Close.RESTART)
            await _converse(hub, socket, identity, requests)
        except asyncio.CancelledError:
            if not lifeline.cut:
                raise
        finally:
            lifeline.over = True
            hub.roster.remove(socket)
            socket.discard()


async def _hello(receive: Receive) -> Hello:
    try:
        async with asyncio.timeout(frames.HELLO_WITHIN):
            hello = frames.parse(await _text(receive))
    except TimeoutError as error:
        raise ProtocolError(Close.NO_HELLO, "no hello in time") from error
    if not isinstance(hello, Hello):
        raise ProtocolError(Close.MALFORMED, "the first frame is no hello")
    return hello


async def _converse(hub: Hub, socket: Connection, identity: Identity, requests: Requests) -> None:
    while True:
        request = await requests.next()
        if isinstance(request, Signal):
            hub.signals.signalled(socket, request.scope, request.signal)
            continue
        await socket.drained()
        async with hub.turn_of(identity.user):
            socket.push(await _answer(identity, request), counted=False)


async def _text(receive: Receive) -> str | None:
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise Disconnected
    return message.get("text")


async def _answer(identity: Identity, request: frames.Question) -> str:
    return await readers.run(_read, identity, request)


def _read(identity: Identity, request: frames.Question) -> str:
    answer: dict[str, Any]
    match request:
        case Load(scope=name):
            answer = {"type": "scope", "id": request.id, **read_scope(identity.user, name)}
        case Page(scope=name, entity=entity, before=before):
            answer = {"type": "page", "id": request.id, **read_page(identity.user, name, entity, before)}
    # No relay need have said yet that it is over; whoever is signed in now was so when the answer was read.
    if identity.key not in signed_in_by([identity.key]):
        raise ProtocolError(Close.SIGNED_OUT, "no longer signed in")
    if answer["epoch"] != identity.at.epoch:
        # Another database may lie below: who this user is there has not been asked yet.
        raise NotReady("the log is another one")
    return log.encode(answer)
