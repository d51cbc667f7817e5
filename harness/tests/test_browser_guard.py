"""What a browser sends when nobody looks any more: held back where nothing may be written, and only there."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness import safety
from harness.browser.driver import Browsers
from harness.browser.tab import Tab
from harness.browser.trouble import Trouble
from harness.browser.window import LAPTOP
from harness.tests.helpers import serving

WITHIN = 10.0
AFTER = "/after"
"""What each page reads once it has written."""

READ = f'fetch("{AFTER}", {{keepalive: true}})'
WAYS = {
    "beacon on leaving": f'addEventListener("pagehide", () => {{ navigator.sendBeacon("/written"); {READ}; }});',
    "beacon when hidden": 'addEventListener("visibilitychange", () => {'
    f' navigator.sendBeacon("/written"); {READ}; }});',
    "fetch on leaving": 'addEventListener("pagehide", () => {'
    f' fetch("/written", {{method: "PUT", keepalive: true}}); {READ}; }});',
    "shared worker": 'new SharedWorker("/worker");',
    "redirected sign-in": f'fetch("/api/session", {{method: "POST"}}).finally(() => {READ});',
}
ON_LEAVING = [way for way in WAYS if "leaving" in way or "hidden" in way]
WORKER = f'fetch("/written", {{method: "DELETE"}}).finally(() => {READ});'


class App(ThreadingHTTPServer):
    """Serves a page that writes, and keeps what arrives."""

    daemon_threads = True

    def __init__(self, script: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.page = f"<!doctype html><title>Writes</title><script>{script}</script>"
        self.written: list[str] = []
        self.after = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: App

    def do_GET(self) -> None:
        if self.path == AFTER:
            self.server.after.set()
        if self.path == "/worker":
            self._answer(WORKER, "text/javascript")
        else:
            self._answer(self.server.page if self.path == "/" else "", "text/html")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/session":
            # It keeps the method.
            self.send_response(307)
            self.send_header("Location", "/written")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.server.written.append(self.path)
        self._answer("", "text/plain")

    do_PUT = do_DELETE = do_POST  # noqa: N815 - the base class names them

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""

    def _answer(self, text: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class Nobody:
    """A listener that does not listen."""

    def frame(self, text: str, *, sent: bool, at: float) -> None: ...

    def request(self, method: str, path: str, ms: float, error: str | None) -> None: ...

    def console(self, level: str, text: str, *, at: float) -> None: ...

    def trouble(self, trouble: Trouble) -> None: ...


def app_that(script: str) -> AbstractContextManager[App]:
    return serving(App(script))


@pytest.mark.parametrize("protected", [False, True], ids=["free", "protected"])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_written_behind_a_pages_back(way: str, protected: bool, browsers: Browsers) -> None:
    with app_that(WAYS[way]) as app, safety.protected(app.base) if protected else nullcontext():
        tab = Tab(browsers, base=app.base, window=LAPTOP, position=(0, 0), listener=Nobody())
        browsers.run(tab.open(patience=WITHIN), within=60)
        try:
            browsers.run(tab.load("/"), within=2 * WITHIN)
            if way in ON_LEAVING:
                browsers.run(tab.load("/elsewhere"), within=2 * WITHIN)
            assert app.after.wait(WITHIN), "the page has not gone on after its write"
        finally:
            browsers.run(tab.close(), within=2 * WITHIN)
    assert app.written == ([] if protected else ["/written"])
