"""Faults of whole processes. Each is undone at the end of its block, also after an error."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.stack import RunningStack


@contextmanager
def killed(stack: RunningStack, name: str) -> Generator[None]:
    """The process is killed; afterwards it is started again and ready."""
    _is_there(stack, name)
    # Whoever interrupts it may do so when it is done and not yet known here.
    try:
        stack.kill(name)
        yield
    finally:
        stack.start(name)


@contextmanager
def frozen(stack: RunningStack, name: str) -> Generator[None]:
    """The process is stopped where it is: it keeps its port and its connections and answers nobody."""
    _is_there(stack, name)
    try:
        stack.kill(name, signal.SIGSTOP)
        yield
    finally:
        stack.kill(name, signal.SIGCONT)


@contextmanager
def restarted(stack: RunningStack, name: str) -> Generator[None]:
    """The process was asked to end, as at every deploy, and is back when the block begins."""
    stack.restart(name)
    yield


def _is_there(stack: RunningStack, name: str) -> None:
    if stack.resource(name).state == "done":
        raise HarnessError(
            f"{name} has done its work and ended, so there is no process of it to break.",
            hint="Choose one that runs: harness status",
        )


@contextmanager
def failing(stack: RunningStack, name: str) -> Generator[None]:
    """A server in the process's place answers every request with 500, where the process speaks HTTP."""
    url = stack.resource(name).url
    address = urlsplit(url or "")
    if address.scheme != "http" or address.port is None:
        raise HarnessError(f"{name} speaks no HTTP, so nothing can fail in its place.", hint="Kill or freeze it.")
    try:
        stack.stop_resource(name)
        with ThreadingHTTPServer((address.hostname or "", address.port), _Failing) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=f"failing {name}")
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()
    finally:
        stack.start(name)


class _Failing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A connection kept open would keep the server from ending.
    timeout = 1.0

    def _answer(self) -> None:
        body = b"broken on purpose"
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(HTTPStatus.INTERNAL_SERVER_ERROR)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815 - names that http.server calls

    def log_message(self, format: str, *args: object) -> None:
        """Its requests are part of the play, not of the harness's output."""
