"""Live servers that behave as badly as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from harness.live.connection import SUBPROTOCOL

WITHIN = 10.0

WELCOME = {"type": "welcome", "user": 1, "epoch": "e", "seq": 0, "resumed": True, "heartbeat": 25, "orders": {}}
BEAT = {"type": "heartbeat", "epoch": "e", "seq": 0}


@contextmanager
def server(handler: Callable[[ServerConnection], None], **options: Any) -> Iterator[str]:
    """Serve until the end of the block; its ``ws://`` address."""
    with serve(handler, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)], **options) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{running.socket.getsockname()[1]}/live"
        finally:
            running.shutdown()
            thread.join(WITHIN)


def welcome(connection: ServerConnection) -> Any:
    """Take a hello and say that nothing was missed; the hello."""
    hello = json.loads(connection.recv(timeout=WITHIN))
    for frame in (WELCOME, BEAT):
        connection.send(json.dumps(frame))
    return hello
