"""A small app on loopback with the roles, names and store that browser actors look for; the data is made up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.tests.helpers import serving

SESSION = "s3ssion"
PASSWORD = "open sesame"

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws:"

PAGE = """<!doctype html><html lang="en"><head><title>Small</title><link rel="icon" href="data:,">
<script src="/app.js"></script>{head}</head><body>
<nav aria-label="Main"><a href="/chats/">Chats</a> <a href="/profile/">Profile</a></nav>
<p role="status" data-connection="live">live</p>
<main><h1>{title}</h1>{body}</main></body></html>"""

SIGN_IN = """<h2>Sign in</h2><form action="/api/session" method="post">
<label>User name <input name="username"></label><label>Password <input name="password" type="password"></label>
<button>Sign in</button></form>"""

APP_JS = """
window.__store__ = { state: %s, getState() { return { live: this.state }; } };
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/session", {
    method: "POST", body: JSON.stringify(Object.fromEntries(new FormData(event.target))),
  });
  if (answer.ok) { location.assign("/chats/"); return; }
  const alert = document.createElement("p");
  alert.setAttribute("role", "alert");
  alert.textContent = "That was not right.";
  event.target.append(alert);
});
"""

STATE: dict[str, Any] = {
    "link": "live",
    "user": 7,
    "epoch": "e1",
    "seq": 5,
    "orders": {"message": "number"},
    "asked": {},
    "windows": {
        "user:7": {"at": 5, "stale": False, "bounds": {}, "entities": {"profile": {"7": {"id": 7, "user": 7}}}},
        "chat:1": {
            "at": 5,
            "stale": False,
            "bounds": {"message": None},
            "entities": {"message": {"3": {"id": 3, "chat": 1, "number": 1, "client_id": "c-3", "text": "Hello"}}},
        },
    },
}

PAGES = {
    "/chats/": ("Chats", '<ul aria-label="Chats"><li><a href="/chats/1/">Lunch <b>3 unread</b></a></li></ul>'),
    "/chats/1/": ("Lunch", '<ol role="log" aria-label="Messages"><li data-message>Bob: Hello</li></ol>'),
    "/profile/": ("Profile", '<label>First name <input value="Robert"></label><p hidden>a secret</p>'),
    "/people/": ("People", "<p>Nobody</p>"),
    "/sign-in/": ("Welcome", SIGN_IN),
}


class SmallApp(ThreadingHTTPServer):
    """Serves pages and answers just enough of the API; `head` goes into the head of every page."""

    daemon_threads = True

    def __init__(self, pages: Mapping[str, tuple[str, str]], scripts: Mapping[str, str], head: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = {**PAGES, **pages}
        self.scripts = {"/app.js": APP_JS % json.dumps(STATE), **scripts}
        self.head = head
        self.slow_asked = threading.Event()
        self.closing = threading.Event()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: SmallApp

    def do_GET(self) -> None:
        signed_in = f"sessionid={SESSION}" in self.headers.get("Cookie", "")
        if self.path == "/api/session":
            self._answer(200, json.dumps({"user": {"id": 7} if signed_in else None}), "application/json")
        elif self.path == "/slow":
            self.server.slow_asked.set()
            self.server.closing.wait(60)
        elif self.path in self.server.scripts:
            self._answer(200, self.server.scripts[self.path], "text/javascript")
        elif self.path in self.server.pages:
            title, body = self.server.pages[self.path]
            self._answer(200, PAGE.format(title=title, body=body, head=self.server.head), "text/html")
        else:
            self._answer(404, "nothing here", "text/plain")

    def do_POST(self) -> None:
        fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = fields.get("password") == PASSWORD
        self._answer(200 if right else 400, "{}", "application/json", session=right)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""

    def _answer(self, status: int, text: str, kind: str, *, session: bool = False) -> None:
        content = text.encode()
        self.send_response(status)
        if session:
            self.send_header("Set-Cookie", f"sessionid={SESSION}; HttpOnly; Path=/")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def small_app(
    *, pages: Mapping[str, tuple[str, str]] | None = None, scripts: Mapping[str, str] | None = None, head: str = ""
) -> Iterator[SmallApp]:
    """The app, served until the block ends; `scripts` and `pages` come by their paths."""
    app = SmallApp(pages or {}, scripts or {}, head)
    with serving(app):
        try:
            yield app
        finally:
            app.closing.set()
