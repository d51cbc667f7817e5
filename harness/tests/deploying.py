"""Deployments of the stack to play at, made up: they answer, and keep what they were asked to write."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.tests.helpers import serving

FORM = '<form id="{id}" method="post"><input name="username"><input name="password"><input name="first_name"></form>'


class Deployment(ThreadingHTTPServer):
    """Answers as a deployment of this stack does, and keeps what it was asked to write."""

    daemon_threads = True

    def __init__(self, health: Any, *, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.health = health
        self.status = status
        self.writes: list[tuple[str, str]] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Deployment

    def do_GET(self) -> None:
        pages = {"/admin/login/": "login-form", "/admin/accounts/profile/7/change/": "profile_form"}
        if self.path == "/healthz":
            self._answer(self.server.status, self.server.health)
        elif self.path in pages:
            self._answer(200, FORM.format(id=pages[self.path]))
        else:
            self._answer(200, {"user": None})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.writes.append((self.command, self.path))
        if self.path == "/admin/login/":
            self.send_response(302)
            self.send_header("Location", "/admin/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._answer(200, {"user": {"id": 7}, "id": 1})

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - the base class names them

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""

    def _answer(self, status: int, content: Any) -> None:
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        if status >= 300:
            self.send_header("Location", "https://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def deployed(health: Any, *, status: int = 200, tls: ssl.SSLContext | None = None) -> Iterator[Deployment]:
    """One that answers `health` to ``/healthz``."""
    server = Deployment(health, status=status)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield server


def says(environment: str | None) -> dict[str, Any]:
    """What a deployment of this stack says about itself."""
    return {"status": "ok", "run": "", **({} if environment is None else {"environment": environment})}
