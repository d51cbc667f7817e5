"""Holds back what the pages of a browser would write where nothing may be written.

A page's own interception ends with the page, and knows neither shared workers nor where a redirect leads. This one
is the browser's: whatever leaves it passes here, also what pages send when they go.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, CDPSession, Error

from harness import safety


class Guard:
    """Of one browser; all coroutines run on the driving thread."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._bases: set[str] = set()
        self._starting: asyncio.Task[CDPSession] | None = None
        self._answers: set[asyncio.Task[None]] = set()

    async def watch(self, base: str) -> None:
        """From now on nothing is written by any page while `base` is protected; for pages that are opened later."""
        self._bases.add(base)
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> CDPSession:
        session = await self._browser.new_browser_cdp_session()
        session.on("Fetch.requestPaused", lambda paused: self._answer(session, paused))
        await session.send("Fetch.enable", {"patterns": [{"urlPattern": "*"}]})
        return session

    def _answer(self, session: CDPSession, paused: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._decide(session, paused))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def _decide(self, session: CDPSession, paused: dict[str, Any]) -> None:
        request = paused["request"]
        path = urlsplit(request["url"]).path
        try:
            if any(safety.refuses(base, request["method"], path) for base in self._bases):
                refusal = {"requestId": paused["requestId"], "errorReason": "BlockedByClient"}
                await session.send("Fetch.failRequest", refusal)
            else:
                await session.send("Fetch.continueRequest", {"requestId": paused["requestId"]})
        except Error:
            # Whoever asked has gone meanwhile, or the whole browser: nothing is sent then either.
            return
