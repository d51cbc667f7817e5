"""Asking the renderers for pages, within bounds of time, number and size."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
from yarl import URL

from stack.pages.breaker import Breaker

BUDGET = 1.5
"""Seconds for one page, with waiting and a second try."""
DEVELOPMENT_BUDGET = 60.0
"""A development server builds a page when it is asked for it."""
CONNECT = 0.2
MOST_AT_ONCE = 16
"""Pages that one renderer is asked for at a time; it renders one after the other anyway."""
MOST_WAITING = 32
LONGEST_WAIT = 0.5
MOST_BYTES = 8 * 1024 * 1024
MOST_ASKED = 1024 * 1024
"""Bytes of one viewer's page data at a time. A renderer does one page after the other and may need a quarter of a
second for so many: who has more to see renders it in their own browser."""
# Less than the 5 s after which Node closes idle connections, or a request could meet one that is being closed.
KEEP_ALIVE = 2.0
# What aiohttp would add by itself.
_NOT_SENT = ("Accept", "Accept-Encoding", "User-Agent")


class Reason(StrEnum):
    """Why a page was not rendered."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    ERROR = "error"
    STATUS = "status"
    FULL = "full"
    OPEN = "open"
    OFF = "off"
    INVALID = "invalid"
    LARGE = "large"
    DATABASE = "database"


class NotRendered(Exception):
    """A renderer did not answer with the page.

    Attributes:
        elsewhere: whether another renderer may be asked: nothing had been received from this one.
    """

    def __init__(self, reason: Reason, *, elsewhere: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.elsewhere = elsewhere


@dataclass(frozen=True)
class Question:
    """What a renderer is asked.

    Attributes:
        path: the page's address.
        body: page data.
        headers: all there are; nothing of the client's request goes along by itself.
        status: the only right answer.
        viewer: whose page data it is; None for all who are not signed in.
    """

    path: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    status: int = 200
    viewer: int | None = None


class _Renderer:
    def __init__(self, url: str) -> None:
        self.url = url
        self.breaker = Breaker(url)
        self.busy = 0
        self.served = 0


@dataclass(frozen=True)
class _Turn:
    renderer: _Renderer
    trying: bool


class Renderers:
    """The renderers as one event loop sees them: one HTTP client, opened by the first page.

    Args:
        urls: origins such as ``http://127.0.0.1:3000``; none means that nothing is ever rendered.
        budget: seconds for one page.
    """

    def __init__(self, urls: Sequence[str], *, budget: float = BUDGET) -> None:
        self._renderers = [_Renderer(url) for url in urls]
        self._budget = budget
        self._waiting: list[asyncio.Future[None]] = []
        self._asked: Counter[int | None] = Counter()
        self._client: aiohttp.ClientSession | None = None

    @property
    def states(self) -> list[str]:
        """Of each renderer's breaker."""
        return [renderer.breaker.state.value for renderer in self._renderers]

    async def render(self, question: Question) -> bytes:
        """The page as HTML.

        Raises:
            NotRendered: for whatever reason there is.
        """
        if not self._renderers:
            raise NotRendered(Reason.OFF)
        deadline = asyncio.get_running_loop().time() + self._budget
        with self._share(question):
            turn = await self._queue(deadline)
            try:
                return await self._ask(turn, question, deadline)
            except NotRendered as failed:
                other = self._next(but=turn.renderer) if failed.elsewhere else None
                if other is None:
                    raise
                return await self._ask(other, question, deadline)

    async def close(self) -> None:
        """Close the connections; a later page would open new ones."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    @contextmanager
    def _share(self, question: Question) -> Iterator[None]:
        """A viewer's share of what is asked: others have to get their pages too."""
        size = len(question.body)
        if size > MOST_ASKED:
            raise NotRendered(Reason.LARGE)
        if self._asked[question.viewer] + size > MOST_ASKED:
            raise NotRendered(Reason.FULL)
        self._asked[question.viewer] += size
        try:
            yield
        finally:
            self._asked[question.viewer] -= size
            if not self._asked[question.viewer]:
                del self._asked[question.viewer]

    async def _queue(self, deadline: float) -> _Turn:
        """Wait for a renderer that is free, for a short time and in a short queue."""
        if (turn := self._next()) is not None:
            return turn
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + LONGEST_WAIT)):
                while True:
                    if not any(r.breaker.admits(loop.time()) for r in self._renderers):
                        # Nobody behind this one has anything to wait for either.
                        self._wake()
                        raise NotRendered(Reason.OPEN)
                    if len(self._waiting) >= MOST_WAITING:
                        raise NotRendered(Reason.FULL)
                    await self._wait()
                    if (turn := self._next()) is not None:
                        return turn
        except TimeoutError:
            raise NotRendered(Reason.FULL) from None

    async def _wait(self) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        try:
            await woken
        except BaseException:
            if woken.done() and not woken.cancelled():
                # The place that was meant for this one is another's.
                self._wake()
            raise
        finally:
            if woken in self._waiting:
                self._waiting.remove(woken)

    def _wake(self) -> None:
        while self._waiting:
            woken = self._waiting.pop(0)
            if not woken.done():
                woken.set_result(None)
                return

    def _next(self, *, but: _Renderer | None = None) -> _Turn | None:
        """A place at the least busy renderer, taken; None if there is none."""
        now = asyncio.get_running_loop().time()
        free = [r for r in self._renderers if r is not but and r.busy < MOST_AT_ONCE and r.breaker.admits(now)]
        if not free:
            return None
        # Equally busy ones take turns.
        renderer = min(free, key=lambda r: (r.busy, r.served))
        renderer.busy += 1
        renderer.served += 1
        return _Turn(renderer, renderer.breaker.begin())

    async def _ask(self, turn: _Turn, question: Question, deadline: float) -> bytes:
        breaker = turn.renderer.breaker
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    answer = await self._post(turn.renderer.url, question)
            except TimeoutError:
                raise NotRendered(Reason.TIMEOUT) from None
        except NotRendered as failed:
            # One that answers something else may be kept from the page by what this viewer sees.
            viewer = question.viewer if failed.reason in (Reason.STATUS, Reason.INVALID) else None
            breaker.fail(asyncio.get_running_loop().time(), failed.reason, trying=turn.trying, viewer=viewer)
            raise
        except BaseException:
            breaker.give_up(trying=turn.trying)
            raise
        else:
            breaker.succeed(trying=turn.trying)
            return answer
        finally:
            turn.renderer.busy -= 1
            self._wake()

    async def _post(self, url: str, question: Question) -> bytes:
        begun = False
        try:
            async with self._session().post(
                URL(url + question.path, encoded=True),
                data=question.body,
                headers=question.headers,
                allow_redirects=False,
            ) as answer:
                begun = True
                if answer.status != question.status:
                    raise NotRendered(Reason.STATUS)
                if answer.content_type != "text/html":
                    raise NotRendered(Reason.INVALID)
                parts, size = [], 0
                async for part in answer.content.iter_any():
                    parts.append(part)
                    size += len(part)
                    if size > MOST_BYTES:
                        raise NotRendered(Reason.INVALID)
                return b"".join(parts)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NotRendered(Reason.REFUSED, elsewhere=True) from None
        except aiohttp.ClientError:
            raise NotRendered(Reason.ERROR, elsewhere=not begun) from None

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                # How many connections there are is bounded above.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
                # Nothing that one viewer's page brings may go into another's.
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
                skip_auto_headers=_NOT_SENT,
                auto_decompress=False,
            )
        return self._client
