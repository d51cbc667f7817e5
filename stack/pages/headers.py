"""Headers: which of a request reach the renderer, and which every page has."""

from __future__ import annotations

import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

# Languages and ids, not whatever a client may think of.
_PASSED_ON = {
    "Accept-Language": re.compile(r"[A-Za-z0-9*,;=. -]{1,200}"),
    "X-Request-Id": re.compile(r"[A-Za-z0-9._-]{1,128}"),
}


def to_renderer(request: HttpRequest) -> dict[str, str]:
    """All headers that a renderer gets. Cookies never: it has no business of its own with who asks."""
    headers = {"Content-Type": "application/json", "Host": request.get_host()}
    for name, form in _PASSED_ON.items():
        if (value := request.headers.get(name)) and form.fullmatch(value):
            headers[name] = value
    return headers


def content_security_policy(host: str, *, secure: bool, development: str | None = None) -> str:
    """Everything from here and nothing inline.

    Args:
        host: this site's, with the port if it is not the usual one.
        development: origin of a development server, whose pages bring inline and evaluated scripts and styles along.
    """
    here = "'self'" if development is None else f"'self' {development}"
    inline = "" if development is None else " 'unsafe-inline'"
    evaluated = "" if development is None else " 'unsafe-eval'"
    # Not every browser takes 'self' for the WebSocket too.
    live = f"{'wss' if secure else 'ws'}://{host}"
    if development is not None:
        live += " " + re.sub("^http", "ws", development)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {here}{inline}{evaluated}",
            f"style-src {here}{inline}",
            f"img-src {here} data:",
            f"font-src {here}",
            f"connect-src {here} {live}",
            "manifest-src 'self'",
            "worker-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def finish(request: HttpRequest, response: HttpResponse) -> None:
    """What every answer to a page's address has, whatever it is: nobody may keep it, its sources are few."""
    response["Cache-Control"] = "private, no-store"
    patch_vary_headers(response, ("Cookie",))
    response["Content-Security-Policy"] = content_security_policy(
        request.get_host(), secure=request.is_secure(), development=settings.FRONTEND_DEV_URL
    )
