from __future__ import annotations

import json
from io import SEEK_END

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.utils.deprecation import MiddlewareMixin

from stack.config.problems import CONTENT_TYPE, problem

API = "/api/"
DETAILS = {
    400: ("bad_request", "The request is malformed."),
    403: (
        "permission_denied",
        "The CSRF token is missing or wrong: send the csrftoken cookie as X-CSRFToken.",
    ),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
    413: ("payload_too_large", "The request is too large."),
}
SERVER_ERROR = ("error", "The server failed to answer. It has been logged.")


class ApiMiddleware(MiddlewareMixin):
    """Keeps the API's promises for answers that no API view made: problem documents, nothing cached.

    Django answers unknown addresses, failed CSRF checks, refused hosts and its own failures with HTML,
    whatever the client asked for, and in development with pages of its own that no handler setting replaces.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not request.path_info.startswith(API):
            return response
        if response.status_code >= 400 and response.get("Content-Type") != CONTENT_TYPE:
            code, detail = DETAILS.get(response.status_code, SERVER_ERROR)
            body = json.dumps(problem(response.status_code, code=code, detail=detail)).encode()
            response.content = body  # type: ignore[attr-defined]
            response["Content-Type"] = CONTENT_TYPE
            response["Content-Length"] = str(len(body))
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        return response


class BodyLengthMiddleware(MiddlewareMixin):
    """Gives chunked bodies the length they have, without which they would be taken for empty and for small."""

    def process_request(self, request: HttpRequest) -> None:
        if "HTTP_TRANSFER_ENCODING" in request.META and isinstance(request, ASGIRequest):
            # Django has received the whole body into this file before it made the request.
            file = request._stream
            file.seek(0, SEEK_END)
            request.META["CONTENT_LENGTH"] = str(file.tell())
            file.seek(0)


class SlashMiddleware(CommonMiddleware):
    """Appends missing slashes to addresses of pages, never to the API's: a program wants a 404 there.

    A redirect would lose what was posted, which Django answers in development by failing.
    """

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return not request.path_info.startswith(API) and super().should_redirect_with_slash(request)
