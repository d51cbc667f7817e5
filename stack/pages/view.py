"""A page: who asks, what they see, rendered or as a shell."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from pathlib import Path
from time import perf_counter

from django.core.handlers.asgi import ASGIRequest
from django.db import Error
from django.http import HttpResponse, HttpResponseRedirect

from stack.live.identity import session_key
from stack.pages import headers, process
from stack.pages.data import Reading, nobody, read, threads
from stack.pages.renderer import NotRendered, Question, Reason
from stack.pages.routes import CHATS, HOME, NOT_FOUND, SIGN_IN, Page, safe_next, sign_in_address
from stack.pages.shell import Shells

logger = logging.getLogger(__name__)

READ_WITHIN = 5.0
"""Seconds in which the database answers, with waiting for a thread."""
RETRY_AFTER = 2
NO_BUILD = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Not built yet</title></head>
<body><h1>The front end is not built yet</h1>
<p>Build it with <code>python3 noxfile.py -s build</code>, then start the stack again.</p></body></html>
"""


class PageView:
    """Answers pages.

    The renderer gets a page to render with what the viewer sees. Where it can't, the viewer gets the page's shell
    with the same data, status 200. Without the database nobody knows who asks: then it is the shell without data,
    status 503, from which the client loads by itself over the socket as soon as that works again. Nothing
    is compressed: a page holds what others wrote beside what only the viewer may see, and whoever watches the length
    of compressed answers could guess the one by the other.

    Args:
        build: the folder of the built front end, None without one.
    """

    def __init__(self, build: Path | None) -> None:
        self._shells = Shells(build and build / "web")

    async def answer(self, request: ASGIRequest, page: Page, values: dict[str, str]) -> HttpResponse:
        """The page for whoever asks, or where to go instead."""
        path = request.path_info
        key = session_key(request.scope["headers"])
        started = perf_counter()
        try:
            reading = nobody(path) if key is None else await self._read(key, page, values, path)
        except (Error, TimeoutError) as error:
            logger.warning("A page can't be filled: %s.", type(error).__name__)
            return self._shell(page, None, Reason.DATABASE)
        read_at = perf_counter()
        if (elsewhere := _elsewhere(request, page, reading)) is not None:
            return HttpResponseRedirect(elsewhere)
        if not reading.visible:
            page = NOT_FOUND
        response = await self._rendered_or_shell(request, page, values, reading)
        response["Server-Timing"] = (
            f"snapshot;dur={(read_at - started) * 1000:.1f}, render;dur={(perf_counter() - read_at) * 1000:.1f}"
        )
        return response

    async def _read(self, key: str, page: Page, values: dict[str, str], path: str) -> Reading:
        async with asyncio.timeout(READ_WITHIN):
            return await threads.run(
                read,
                key,
                path=path,
                shown=page.scopes(values),
                snapshot=page.private or page is NOT_FOUND,
            )

    async def _rendered_or_shell(
        self, request: ASGIRequest, page: Page, values: dict[str, str], reading: Reading
    ) -> HttpResponse:
        status = _status(page)
        question = Question(page.path(values), reading.body, headers.to_renderer(request), status, reading.user)
        try:
            html = await process.renderers().render(question)
        except NotRendered as failed:
            return self._shell(page, reading.body, failed.reason)
        process.count(None)
        return HttpResponse(html, status=status, headers={"X-Rendered-By": "renderer"})

    def _shell(self, page: Page, body: bytes | None, reason: Reason) -> HttpResponse:
        process.count(reason)
        html = self._shells.page(page.route, body)
        status = _status(page) if html is not None and body is not None else HTTPStatus.SERVICE_UNAVAILABLE
        response = HttpResponse(NO_BUILD if html is None else html, status=status)
        if html is not None:
            response["X-Rendered-By"] = "shell"
        response["X-Shell-Reason"] = reason
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            response["Retry-After"] = str(RETRY_AFTER)
        return response


def _status(page: Page) -> int:
    return HTTPStatus.NOT_FOUND if page is NOT_FOUND else HTTPStatus.OK


def _elsewhere(request: ASGIRequest, page: Page, reading: Reading) -> str | None:
    """Where this viewer is sent instead of this page."""
    if reading.user is None:
        if page.private:
            return sign_in_address(request.path_info)
        return f"{SIGN_IN}/" if page.route == HOME else None
    if page.route == SIGN_IN:
        return safe_next(request.GET.get("next"))
    return f"{CHATS}/" if page.redirects else None
