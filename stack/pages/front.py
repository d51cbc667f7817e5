"""The front of the house: an ASGI application that answers pages itself and hands all else to Django's handler.

A page costs one hop to a thread, for everything it asks of the database. On the way through Django's handler each
middleware that is not asynchronous costs two more, and a request a thread of its own. The middlewares that matter to a
page only compute, so that they are called here as they are: hosts, TLS, security headers, the CSRF cookie.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

from django.conf import settings
from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.middleware.security import SecurityMiddleware
from django.urls import get_resolver

from stack.pages import headers
from stack.pages.files import NEXT, Files
from stack.pages.routes import NOT_FOUND, find
from stack.pages.view import PageView

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

logger = logging.getLogger(__name__)

LIVE = "live"
SAFE = ("GET", "HEAD")


class Front:
    """Every HTTP request comes here first.

    Args:
        django: answers addresses whose first part the URL configuration knows.
    """

    def __init__(self, django: Application) -> None:
        build = Path(settings.FRONTEND_BUILD) if settings.FRONTEND_BUILD else None
        self._django = django
        self._djangos = {str(pattern.pattern).partition("/")[0] for pattern in get_resolver().url_patterns}
        self._djangos |= {LIVE, settings.STATIC_URL.strip("/").partition("/")[0]}
        self._files = Files(build)
        self._view = PageView(build)
        self._security = SecurityMiddleware(_no_next)
        self._frames = XFrameOptionsMiddleware(_no_next)
        self._csrf = CsrfViewMiddleware(_no_next)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; one whose client is gone is given up, with what it asked of others."""
        if scope["path"].removeprefix("/").partition("/")[0] in self._djangos:
            await self._django(scope, receive, send)
            return
        answer = asyncio.ensure_future(self._answer(scope))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            response = answer.result() if answer.done() else None
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)
        if response is not None:
            await _send(response, send, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope) -> HttpResponse:
        try:
            request = ASGIRequest(scope, BytesIO())
            request.get_host()
        except (DisallowedHost, UnicodeDecodeError):
            return _text(400, "Bad request.")
        response: HttpResponse | None = self._security.process_request(request)
        if response is None:
            try:
                response = await self._found(request)
            except SuspiciousOperation:
                # More parameters than Django takes, for example.
                response = _text(400, "Bad request.")
            except Exception:
                logger.exception("A page failed: %r", request.path_info)
                response = _text(500, "The server failed to answer. It has been logged.")
        self._security.process_response(request, response)
        self._frames.process_response(request, response)
        return response

    async def _found(self, request: ASGIRequest) -> HttpResponse:
        path, method = request.path_info, str(request.method)
        if (file := await self._files.answer(path, method, request.META)) is not None:
            return file
        if path.startswith(NEXT):
            return _text(404, "There is no such file.")
        found = find(path)
        if method not in SAFE:
            return _text(404, "There is nothing here.") if found is None else _not_allowed()
        if found is None and find(f"{path}/") is not None:
            response: HttpResponse = HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
        else:
            self._csrf.process_request(request)
            # Scripts send it back, and renew it with every page.
            get_token(request)
            page, values = found or (NOT_FOUND, {})
            response = await self._view.answer(request, page, values)
            self._csrf.process_response(request, response)
        headers.finish(request, response)
        return response


def _no_next(_request: HttpRequest) -> HttpResponse:
    raise AssertionError("its hooks alone are used")


def _not_allowed() -> HttpResponse:
    response = _text(405, "Pages can only be looked at.")
    response["Allow"] = ", ".join(SAFE)
    return response


def _text(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(
        f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )


async def _disconnected(receive: Receive) -> None:
    """Return when the client is gone. What it sends is not wanted."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(response: HttpResponse, send: Send, *, head: bool) -> None:
    # A 304 has no content of its own: a length would be taken for that of what the client holds.
    if response.status_code != HTTPStatus.NOT_MODIFIED:
        response.setdefault("Content-Length", str(len(response.content)))
    lines = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    lines += [(b"Set-Cookie", morsel.OutputString().encode("ascii")) for morsel in response.cookies.values()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if head else response.content})
