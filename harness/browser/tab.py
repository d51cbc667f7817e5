"""One person's browser: a context of its own with one page, and a record of everything that goes on in it.

All coroutines in here run on the driving thread.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Request, Response, Route, WebSocket

from harness import safety
from harness.browser.driver import Browsers, Position
from harness.browser.errors import BrowserEnded, NoAnswer
from harness.browser.scripts import AXE_RUN, CONNECTION, LINES, PAINTED, STATE, axe_source
from harness.browser.trouble import Kind, Trouble, Troubles, is_aborted, is_trouble
from harness.browser.uplink import Uplink
from harness.browser.window import Window

LIVE = "/live"
QUALITY = 70
LOOK_EVERY = 0.03
TOLD = frozenset({"document", "fetch", "xhr"})
"""Kinds of requests whose times are told."""

DATA = frozenset({"fetch", "xhr"})
_ASKS = re.compile(r'\{"type":\s*"(snapshot|load|page)"')


class Listener(Protocol):
    """Is told on the driving thread; must not block it. Times are those of `time.perf_counter`."""

    def frame(self, text: str, *, sent: bool, at: float) -> None:
        """A live frame came in or was sent."""

    def request(self, method: str, path: str, ms: float, error: str | None) -> None:
        """A request for a page or data ended."""

    def console(self, level: str, text: str, *, at: float) -> None:
        """The page wrote into its console, and it is no trouble."""

    def trouble(self, trouble: Trouble) -> None:
        """Something went wrong, expected or not."""


class Tab:
    """Made on any thread; `open` it first."""

    def __init__(
        self, browsers: Browsers, *, base: str, window: Window, position: Position, listener: Listener
    ) -> None:
        """`base`: address of the server without a trailing slash, the only one that the page can reach."""
        self.troubles = Troubles()
        self.answers: dict[tuple[str, str], int | str] = {}
        """By method and path: the HTTP status of the last answer, or why none came."""
        self.asked: list[str] = []
        """Data that the document which was loaded last has asked for."""
        self.refused_writes: list[tuple[str, str]] = []
        """Method and path of what the page would have written where nothing may be written."""
        self.loaded = ""
        """Path of the document that was loaded last."""
        self._browsers = browsers
        self._base = base
        self._window = window
        self._position = position
        self._listener = listener
        self._uplink = Uplink(frozenset({urlsplit(base).hostname or ""}))
        self._context: BrowserContext | None = None
        self._page: Page | None = None
        self._answer: Response | None = None
        self._traced = False
        self._later: set[asyncio.Task[None]] = set()

    @property
    def page(self) -> Page:
        """Raises `BrowserEnded` if there is none."""
        if self._page is None or self._page.is_closed():
            raise BrowserEnded("The window is not open.")
        return self._page

    @property
    def path(self) -> str:
        """Where the page is, without host and query."""
        return urlsplit(self._page.url).path if self._page is not None else ""

    @property
    def refused_hosts(self) -> frozenset[str]:
        """Hosts beside the server's that the page asked for, in vain."""
        return frozenset(self._uplink.refused)

    # Opening and closing

    async def open(self, *, patience: float) -> None:
        """Open an empty window; `patience`: seconds that anything done to its page may take."""
        browser = await self._browsers.browser(self._position)
        if safety.is_protected(self._base):
            await self._browsers.guard(self._base, self._position)
        size = {"width": self._window.width, "height": self._window.height}
        self._context = await browser.new_context(
            base_url=self._base,
            viewport=size,  # type: ignore[arg-type]  # a plain mapping is what it takes
            color_scheme="dark" if self._window.dark else "light",
            reduced_motion="reduce" if self._window.calm else "no-preference",
            has_touch=self._window.touch,
            is_mobile=self._window.touch,
            proxy={"server": await self._uplink.open()},
            # What a service worker sends can't be held back.
            service_workers="block" if safety.is_protected(self._base) else "allow",
        )
        self._context.set_default_timeout(patience * 1000)
        if safety.is_protected(self._base):
            await self._context.route("**/*", self._hold_back)
        await self._context.tracing.start(screenshots=True, snapshots=True)
        self._traced = True
        page = await self._context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._note("page", _error_text(error)))
        page.on("crash", lambda _: self._note("crash", "the page crashed"))
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.on("requestfinished", self._on_finished)
        page.on("requestfailed", self._on_failed)
        page.on("websocket", self._on_websocket)
        self._page = page

    async def close(self) -> None:
        """Close the window."""
        for task in tuple(self._later):
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        if self._context is not None:
            await self._context.close()
        await self._uplink.close()

    async def keep_trace(self, path: Path | None) -> None:
        """Stop recording; what was recorded goes to `path`, or nowhere."""
        if self._context is not None and self._traced:
            self._traced = False
            if path is None:
                await self._context.tracing.stop()
            else:
                await self._context.tracing.stop(path=path)

    async def use_cookie(self, name: str, value: str) -> None:
        """Have a cookie for the server."""
        assert self._context is not None
        await self._context.add_cookies([{"name": name, "value": value, "url": self._base}])

    async def cookies(self) -> dict[str, str]:
        """The cookies for the server."""
        assert self._context is not None
        return {cookie["name"]: cookie["value"] for cookie in await self._context.cookies(self._base)}

    # The network

    async def cut(self) -> None:
        """Break all connections without a goodbye; the device also knows that it has no network."""
        assert self._context is not None
        self._uplink.cut()
        await self._context.set_offline(True)

    async def mend(self) -> None:
        """There is a network again."""
        assert self._context is not None
        self._uplink.mend()
        await self._context.set_offline(False)

    async def load(self, path: str) -> int:
        """Load a page by its address; the HTTP status. Raises `NoAnswer`."""
        self.asked = []
        try:
            self._answer = response = await self.page.goto(path, wait_until="load")
        except Error as error:
            if "net::ERR_" in error.message:
                raise NoAnswer(f"GET {self._base}{path}: no answer ({error.message.splitlines()[0]}).") from error
            raise
        return 0 if response is None else response.status

    async def document(self) -> httpx.Response:
        """What the server answered for the page that was loaded last."""
        if self._answer is None:
            raise NoAnswer("No page was loaded.")
        headers = await self._answer.all_headers()
        # Playwright gives the body as it is after decompression.
        kept = {name: value for name, value in headers.items() if name != "content-encoding"}
        request = httpx.Request("GET", self._answer.url)
        return httpx.Response(self._answer.status, headers=kept, content=await self._answer.body(), request=request)

    # Looking

    async def lines(self) -> list[str]:
        """What can be read on the page, a line each; fields as ``label: value``."""
        found: list[str] = await self.page.evaluate(LINES)
        return found

    async def state(self) -> str | None:
        """The live part of the app's store as JSON; None while there is no store."""
        found: str | None = await self.page.evaluate(STATE)
        return found

    async def connection(self) -> str | None:
        """What the page says about its live connection; None if it says nothing."""
        found: str | None = await self.page.evaluate(CONNECTION)
        return found

    async def html(self) -> str:
        """The page as it is now."""
        return await self.page.content()

    async def painted(self) -> None:
        """Wait until what was on its way to the screen is there."""
        await self.page.evaluate(PAINTED)

    async def holds(self, look: Callable[[], Awaitable[bool]], *, within: float) -> bool:
        """Look again and again; whether it came true within so many seconds, or before a write was held back."""
        deadline = time.monotonic() + within
        while True:
            try:
                if await look():
                    return True
            except Error:
                # Pages can't be looked at while they are being left; one that is gone says so.
                _ = self.page
            if time.monotonic() >= deadline or self.refused_writes:
                return False
            await asyncio.sleep(LOOK_EVERY)

    async def picture(self) -> bytes:
        """A JPEG of what the window shows."""
        return await self.page.screenshot(type="jpeg", quality=QUALITY, animations="allow")

    async def violations(self) -> list[dict[str, Any]]:
        """What axe finds wrong with the page."""
        # Not by a script element, which a page's content security policy would rightly block.
        await self.page.evaluate(f"() => {{ {axe_source()} }}")
        found: list[dict[str, Any]] = await self.page.evaluate(AXE_RUN)
        return found

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside everything else, on the driving thread, which is also where to ask for it."""
        task = asyncio.ensure_future(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    # Recording

    def _note(self, kind: Kind, text: str) -> None:
        self._listener.trouble(self.troubles.note(kind, text, at=time.perf_counter()))

    def _on_console(self, message: ConsoleMessage) -> None:
        if is_trouble(message.type, message.text):
            place = urlsplit(message.location["url"]).path
            self._note("console", f"{message.type}: {message.text}{f' ({place})' if place else ''}")
        else:
            self._listener.console(message.type, message.text, at=time.perf_counter())

    def _on_request(self, request: Request) -> None:
        if request.method == "GET" and request.resource_type in DATA:
            self.asked.append(f"GET {_place(request)}")

    async def _hold_back(self, route: Route) -> None:
        request = route.request
        path = urlsplit(request.url).path
        if safety.refuses(self._base, request.method, path):
            self.refused_writes.append((request.method, path))
            await route.abort("blockedbyclient")
        else:
            await route.continue_()

    def _on_response(self, response: Response) -> None:
        request = response.request
        path = _place(request)
        self.answers[request.method, urlsplit(request.url).path] = response.status
        if request.is_navigation_request() and response.status < 300:
            self.loaded = urlsplit(request.url).path
        if response.status >= 400:
            self._note("response", f"{request.method} {path}: HTTP {response.status}")

    def _on_finished(self, request: Request) -> None:
        path = urlsplit(request.url).path
        if request.resource_type in TOLD and request.url.startswith(self._base):
            status = self.answers.get((request.method, path), 0)
            failed = isinstance(status, int) and status >= 400
            error = f"HTTP {status}" if failed else None
            self._listener.request(request.method, path, max(0.0, request.timing["responseEnd"]), error)

    def _on_failed(self, request: Request) -> None:
        if is_aborted(request.failure):
            return
        reason = request.failure or "no answer"
        self.answers[request.method, urlsplit(request.url).path] = reason
        self._note("request", f"{request.method} {_place(request)}: {reason}")

    def _on_websocket(self, socket: WebSocket) -> None:
        if urlsplit(socket.url).path != LIVE:
            return
        socket.on("framereceived", lambda payload: self._on_frame(payload, sent=False))
        socket.on("framesent", lambda payload: self._on_frame(payload, sent=True))

    def _on_frame(self, payload: str | bytes, *, sent: bool) -> None:
        text = payload if isinstance(payload, str) else payload.decode(errors="replace")
        if (kind := _ASKS.match(text)) and sent == (kind[1] != "snapshot"):
            self.asked.append(f"{kind[1]} over the live connection")
        self._listener.frame(text, sent=sent, at=time.perf_counter())


def _place(request: Request) -> str:
    parts = urlsplit(request.url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _error_text(error: Error) -> str:
    return " | ".join(line.strip() for line in (error.stack or error.message).splitlines()[:3])
