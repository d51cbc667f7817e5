"""The sync driver against servers that behave badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from harness.live import State, SyncLive
from harness.live.connection import SUBPROTOCOL

WITHIN = 10.0

WELCOME = {"type": "welcome", "user": 1, "epoch": "e", "seq": 0, "resumed": True, "heartbeat": 25, "orders": {}}
BEAT = {"type": "heartbeat", "epoch": "e", "seq": 0}


@contextmanager
def server(handler: Callable[[ServerConnection], None], **options: Any) -> Iterator[str]:
    with serve(handler, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)], **options) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{running.socket.getsockname()[1]}/live"
        finally:
            running.shutdown()
            thread.join(WITHIN)


def client(url: str) -> SyncLive:
    return SyncLive(url, origin="http://127.0.0.1", headers=dict)


def welcome(connection: ServerConnection) -> None:
    connection.recv(timeout=WITHIN)
    for frame in (WELCOME, BEAT):
        connection.send(json.dumps(frame))


def test_leaving_during_the_handshake_ends_the_thread() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        begun.set()
        go_on.wait(WITHIN)

    def stays(connection: ServerConnection) -> None:
        welcome(connection)
        connection.recv(timeout=WITHIN)

    with server(stays, process_request=slow) as url:
        live = client(url)
        live.start()
        assert begun.wait(WITHIN)
        leaving = threading.Thread(target=live.close)
        leaving.start()
        go_on.set()
        leaving.join(WITHIN)
        assert not leaving.is_alive()


def test_what_cannot_be_read_ends_it_with_a_reason() -> None:
    def nonsense(connection: ServerConnection) -> None:
        connection.recv(timeout=WITHIN)
        connection.send("no json")

    with server(nonsense) as url, client(url) as live:
        assert live.wait(lambda _store: live.state is State.FAILED, within=WITHIN)
        assert "JSON" in str(live.error)


def test_after_signing_in_again_it_connects_again() -> None:
    codes = iter([4401])

    def once_refused(connection: ServerConnection) -> None:
        welcome(connection)
        if (code := next(codes, None)) is not None:
            connection.close(code)
        else:
            connection.recv(timeout=WITHIN)

    with server(once_refused) as url, client(url) as live:
        assert live.wait(lambda _store: live.state is State.SIGNED_OUT, within=WITHIN)
        live.start()
        assert live.wait_live(within=WITHIN)
