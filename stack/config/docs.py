"""The API's documentation as a page to try it out on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import ensure_csrf_cookie
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.request import Request
from rest_framework.response import Response


class DocsView(SpectacularSwaggerView):
    """Swagger UI without a script in the page: one in a file reads the CSRF token when it is needed."""

    template_name = "stack/api_docs.html"

    @extend_schema(exclude=True)
    @method_decorator(ensure_csrf_cookie)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response.data["csrf_cookie_name"] = settings.CSRF_COOKIE_NAME
        return response
