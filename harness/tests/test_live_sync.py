"""The sync driver against servers that behave badly."""

from __future__ import annotations

import threading

from websockets.sync.server import ServerConnection

from harness.live import State, SyncLive
from harness.tests.live_serving import WITHIN, server, welcome


def client(url: str) -> SyncLive:
    return SyncLive(url, origin="http://127.0.0.1", headers=dict)


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
