"""What an actor at a browser's window has before them, and what goes on there."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import Error
from playwright.async_api import TimeoutError as NotThere

from harness.actors.actor import SETTLE_WITHIN
from harness.actors.device import Device, Part
from harness.actors.diary import Diary
from harness.actors.errors import ActorError, NotPossible, NotSeen, Unreachable, View, WriteRefused
from harness.actors.evidence import file_name, write_view
from harness.actors.hands import Hands
from harness.actors.http import anonymous
from harness.browser.driver import Browsers
from harness.browser.errors import BrowserError, NoAnswer, TooSlow
from harness.browser.tab import Tab
from harness.browser.window import Window
from harness.live import LiveStore
from harness.live.browser_store import store_of

T = TypeVar("T")

GRACE = 10.0
"""Seconds beyond a deadline until the browser itself is given up."""
START_WITHIN = 60.0
FRAMES_SHOWN = 5
EVENT = re.compile(r'"type"\s*:\s*"event"')
CLIENT_ID = re.compile(r'"client_id"\s*:\s*"([^"]+)"')


class AtWindow(Device):
    """Base of the actors with a window: looks at its page and keeps what is heard of it."""

    def __init__(self, part: Part, *, browsers: Browsers, window: Window, folder: Path | None) -> None:
        """`folder`: where pictures go; without one none are kept."""
        super().__init__(part)
        self._browsers = browsers
        self._folder = folder
        self._patience = SETTLE_WITHIN * self._stretch
        self._diary = Diary(self.label, self._chronicle, self._requests, on_event=self._on_event)
        self._window = browsers.fitted(window)
        self._position = browsers.place(self._window)
        self._tab = Tab(browsers, base=self.base, window=self._window, position=self._position, listener=self._diary)
        self._hands = Hands(self._tab, patience=self._patience)
        self._has_window = False
        self._has_opened = False
        self._online = False
        self._offline: object | None = None
        self._last_picture = b""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label} at {self._tab.path or 'no page'}>"

    @property
    def online(self) -> bool:
        """Whether the app is open and meant to be connected."""
        return self._online

    @property
    def connection(self) -> str:
        """The state of the live connection, in the app's own word."""
        if not self._has_opened:
            return "not open"
        if not self._online:
            return "offline on purpose"
        try:
            return self._browsers.run(self._tab.connection(), within=GRACE) or "not shown"
        except (BrowserError, Error):
            return "unknown"

    @property
    def frames(self) -> tuple[str, ...]:
        """The newest live frames that came in, oldest first, as JSON."""
        return self._diary.received

    @property
    def has_opened(self) -> bool:
        """Whether the app was opened on this device, online or not."""
        return self._has_opened

    def read(self, reader: Callable[[LiveStore], T]) -> T:
        """What `reader` makes of the store of the app, as it is now. Raises `NotPossible` before a screen is open."""
        state = self._do("can't read the app's store", self._opened.state())
        if state is None:
            raise NotPossible(f"{self.label} has a page without a store before them: {self._tab.path}.")
        return reader(store_of(state))

    def store(self) -> dict[str, Any]:
        """The content of the app's store, equal for all clients that hold the same."""
        return self.read(lambda store: store.canonical())

    def lines(self) -> list[str]:
        """The lines of the page as it is now, of its navigation and of what lies above it; fields with their values."""
        return self._do("can't see the page", self._opened.lines())

    def view(self) -> View:
        """What the actor has before them, for a report."""
        try:
            lines = self._browsers.run(self._tab.lines(), within=GRACE) if self._has_window else []
        except (BrowserError, Error) as error:
            lines = [f"(the page can't be read: {_first_line(error)})"]
        return View(
            actor=self.label,
            screen=self._tab.path or "(none)",
            lines=lines,
            frames=self.frames[-FRAMES_SHOWN:],
            connection=self.connection,
        )

    def expects_trouble(self, reason: str, *, pattern: str = "") -> AbstractContextManager[None]:
        """Trouble in the page, of which `pattern` is found in the text, is no failure within the block."""
        return self._tab.troubles.expected(reason, pattern, before_end=self._hears_all)

    @property
    def unexpected_trouble(self) -> tuple[str, ...]:
        """What went wrong in the page without having been expected, oldest first.

        Raises `WriteRefused` if the page would have written where nothing may be written.
        """
        self._hears_all()
        self._wrote_nothing()
        return tuple(str(trouble) for trouble in self._tab.troubles.unexpected)

    def looks(self) -> None:
        """Tell the ledger what the app's store holds; nothing where there is no store to be read."""
        with suppress(ActorError):
            held = self.read(_client_ids)
            self._deliveries.arrived(self, held, at=time.perf_counter(), by_event=False)

    def leaves_evidence(self, folder: Path, *, everything: bool) -> None:
        """Write the page's lines and the live frames; `everything`: also its console and Playwright's trace."""
        write_view(folder, self.view())
        self._diary.write_frames(folder)
        if everything:
            self._diary.write_console(folder, self._tab)
        trace = folder / f"{file_name(self.label)}.trace.zip" if everything else None
        self._do("can't keep the trace", self._tab.keep_trace(trace), within=START_WITHIN)

    def close(self) -> None:
        """Close the window."""
        self._has_opened = self._online = False
        # What can't be closed any more is closed already, or ends with its browser.
        with suppress(BrowserError, Error):
            if self._has_window:
                self._has_window = False
                self._browsers.run(self._tab.close(), within=self._patience)
        self._browsers.leave(self._position, self._window)
        self._http.close()

    # Inside

    def _on_event(self, text: str, at: float) -> None:
        """A live frame came in; on the driving thread."""
        if self._online and self._offline is not None:
            self._tab.troubles.expect_no_more(self._offline)
            self._offline = None
        if EVENT.search(text) and (messages := set(CLIENT_ID.findall(text))):
            self._tab.later(self._takes_up(messages, at))

    async def _takes_up(self, messages: set[str], at: float) -> None:
        """Tell the ledger of messages that came `at` this time, once the app has them."""

        async def has_them() -> bool:
            state = await self._tab.state()
            return state is not None and messages <= _client_ids(store_of(state))

        if await self._tab.holds(has_them, within=self._patience):
            self._deliveries.arrived(self, messages, at=at)

    @property
    def _opened(self) -> Tab:
        if not self._has_opened:
            raise NotPossible(f"{self.label} has not opened the app: open a screen first.")
        return self._tab

    def _open_window(self) -> None:
        if not self._has_window:
            # Also one that does not open entirely has to be closed.
            self._has_window = True
            self._do("can't open a window", self._tab.open(patience=self._patience), within=START_WITHIN)

    async def _is_live(self) -> bool:
        return await self._tab.connection() == "live"

    def _see(self, look: Callable[[], Awaitable[bool]], claim: str, within: float) -> None:
        within *= self._stretch
        if not self._do(claim, self._opened.holds(look, within=within), within=within):
            self._wrote_nothing()
            raise NotSeen(f"{claim} within {within:g} s", self.view())

    def _see_store(self, condition: Callable[[LiveStore], bool], claim: str, within: float) -> None:
        async def look() -> bool:
            state = await self._tab.state()
            return state is not None and condition(store_of(state))

        self._see(look, claim, within)

    def _gets_own_bio(self, bio: str, within: float) -> None:
        user = self.user
        self._see_store(
            lambda store: (store.entity("profile", user) or {}).get("bio") == bio,
            "does not get a marker of their own",
            within,
        )

    def _hears_all(self) -> None:
        """Wait until everything that the page has told so far has come here."""
        if self._has_window:
            try:
                self._browsers.run(self._tab.painted(), within=GRACE)
            except (BrowserError, Error):
                # A page that does not answer has nothing more to tell.
                return

    def _do(self, claim: str, work: Coroutine[Any, Any, T], *, within: float | None = None) -> T:
        """What `work` gives; what keeps it from being done is told as what the actor can't do or see."""
        try:
            return self._browsers.run(work, within=(self._patience if within is None else within) + GRACE)
        except ActorError:
            self._wrote_nothing()
            raise
        except (NotThere, TooSlow) as error:
            self._wrote_nothing()
            raise NotSeen(f"{claim}: {_first_line(error)}", self.view()) from error
        except NoAnswer as error:
            raise Unreachable(str(error)) from error
        except (BrowserError, Error) as error:
            raise NotPossible(f"{self.label} {claim}: {_first_line(error)}") from error

    def _wrote_nothing(self) -> None:
        """Raise `WriteRefused` if the page tried to write where nothing may be written: all else follows from that."""
        for method, path in self._tab.refused_writes[:1]:
            raise WriteRefused(method, anonymous(path))


def _client_ids(store: LiveStore) -> set[str]:
    return {message["client_id"] for message in store.entities("message")}


def _first_line(error: Exception) -> str:
    """What Playwright says happened, and what it waited for."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    waited = [line for line in lines if line.startswith("waiting for")]
    return "; ".join([*lines[:1], *waited[-1:]])
