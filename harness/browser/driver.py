"""Drives browsers: Playwright's async API on one thread of its own, behind methods for any thread.

Its sync API would block every callback while a scenario waits elsewhere, and serves only the thread that made it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from harness.browser.chromium import Chromium, Say, ensure_chromium
from harness.browser.errors import BrowserEnded, TooSlow
from harness.browser.window import Window
from harness.errors import NoBrowser

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

    from harness.browser.guard import Guard

T = TypeVar("T")
Position = tuple[int, int]

SANDBOX = "HARNESS_CHROMIUM_SANDBOX"
START_WITHIN = 60.0
SCREEN_WIDTH = 1920
BESIDE = 3
ROW = 80
"""Pixels from one row of windows down to the next, which overlap: most screens are not high enough for two."""
CLOSE_WITHIN = 15.0
# Chromium takes the last list it is given: Playwright's own with what would call home besides.
DISABLED_FEATURES = (
    "AimEnabled",
    "AutofillServerCommunication",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    "Translate",
)
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    f"--disable-features={','.join(DISABLED_FEATURES)}",
)
# The browser itself has nobody to talk to; each page has an uplink of its own.
NOWHERE = "socks5://127.0.0.1:9"


class Browsers:
    """Chromium processes and the thread that drives them; a context manager. Nothing starts before the first need.

    Safe to use from several threads at once. Whatever is in here ends with the process, however that ends: each
    process below it reads from a pipe and ends with that.
    """

    def __init__(self, chromium: Chromium, *, visible: bool = False) -> None:
        """`visible`: show windows on the screen instead of drawing them in memory."""
        self.chromium = chromium
        self.visible = visible
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._playwright: asyncio.Task[Playwright] | None = None
        self._browsers: dict[Position, asyncio.Task[Browser]] = {}
        self._guards: dict[Position, Guard] = {}
        self._next: Position = (0, 0)
        self._left: dict[Position, int] = {}
        self._closed = False

    @classmethod
    def found(cls, *, say: Say = lambda _sentence: None, visible: bool = False) -> Self:
        """With the Chromium of this machine, installed if need be. Raises `NoBrowser`."""
        return cls(ensure_chromium(say), visible=visible)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, work: Coroutine[Any, Any, T], *, within: float) -> T:
        """What `work` gives, done on the driving thread.

        Raises:
            TooSlow: it was not done `within` seconds.
            BrowserEnded: there is no browser any more.
        """
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._running())
        except BaseException:
            work.close()
            raise
        try:
            return future.result(within)
        except FutureTimeout:
            if future.done():
                # The work's own.
                raise
            raise TooSlow(f"The browser did not answer within {within:g} s.") from None
        except CancelledError:
            raise BrowserEnded("The browsers were closed meanwhile.") from None
        finally:
            # Also after Ctrl-C: nobody waits for it any more.
            future.cancel()

    def fitted(self, window: Window) -> Window:
        """The window, narrow enough that three stand beside each other if they are visible."""
        return replace(window, width=min(window.width, SCREEN_WIDTH // BESIDE)) if self.visible else window

    def place(self, window: Window) -> Position:
        """Take a place on the screen for a window: one that was left, or beside the last one; `leave` it later."""
        with self._starting:
            left = [position for position, width in self._left.items() if width >= window.width]
            if left:
                del self._left[min(left)]
                return min(left)
            x, y = self._next
            if x and x + window.width > SCREEN_WIDTH:
                x, y = 0, y + ROW
            self._next = x + window.width, y
            return x, y

    def leave(self, position: Position, window: Window) -> None:
        """The place of a window that is closed can be had by another."""
        with self._starting:
            self._left[position] = window.width

    async def browser(self, position: Position = (0, 0)) -> Browser:
        """On the driving thread: the browser for windows at this place of the screen, in pixels; one if not visible."""
        key = position if self.visible else (0, 0)
        if key not in self._browsers:
            self._browsers[key] = asyncio.ensure_future(self._launch(key))
        return await asyncio.shield(self._browsers[key])

    async def guard(self, base: str, position: Position = (0, 0)) -> None:
        """On the driving thread: the browser at this place writes nothing while the server at `base` is protected."""
        from harness.browser.guard import Guard

        browser = await self.browser(position)
        key = position if self.visible else (0, 0)
        if key not in self._guards:
            self._guards[key] = Guard(browser)
        await self._guards[key].watch(base)

    def close(self) -> None:
        """End all browsers and the thread. Harmless if nothing was started or it has ended already."""
        with self._starting:
            self._closed = True
            loop, thread, self._thread = self._loop, self._thread, None
        if thread is None or loop is None:
            return
        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(CLOSE_WITHIN)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSE_WITHIN)
        self._loop = None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._closed:
                raise BrowserEnded("The browsers have been closed.")
            if self._thread is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_drive, args=[self._loop], name="browsers", daemon=True)
                self._thread.start()
            assert self._loop is not None
            return self._loop

    async def _launch(self, position: Position) -> Browser:
        from playwright.async_api import Error

        playwright = await self._started()
        where = [f"--window-position={position[0]},{position[1]}"] if self.visible else []
        try:
            return await playwright.chromium.launch(
                executable_path=self.chromium.path,
                headless=not self.visible,
                args=[*FLAGS, *where],
                proxy={"server": NOWHERE},
                # Root has no sandbox to be in.
                chromium_sandbox=os.geteuid() != 0 and os.environ.get(SANDBOX) != "off",
                # Ctrl-C is for the harness, which still wants to see what there was.
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
                timeout=START_WITHIN * 1000,
            )
        except Error as error:
            reason = next((line for line in str(error).splitlines() if "sandbox" in line.lower()), None)
            raise NoBrowser(
                f"{self.chromium.path} did not start: {(reason or str(error).splitlines()[0]).strip()}",
                hint=f"Try it by hand, or name another with HARNESS_CHROMIUM; without a sandbox: {SANDBOX}=off.",
            ) from error

    async def _started(self) -> Playwright:
        if self._playwright is None:
            from playwright.async_api import async_playwright

            self._playwright = asyncio.ensure_future(async_playwright().start())
        return await asyncio.shield(self._playwright)

    async def _end(self) -> None:
        for launched in self._browsers.values():
            with contextlib.suppress(Exception):
                await (await launched).close()
        self._browsers.clear()
        self._guards.clear()
        if self._playwright is not None:
            with contextlib.suppress(Exception):
                await (await self._playwright).stop()
            self._playwright = None
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def can_show() -> bool:
    """Whether there is a screen to show windows on."""
    return os.uname().sysname == "Darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _drive(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
