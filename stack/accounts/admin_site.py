from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from stack.accounts.throttling import admit


class AdminSite(admin.AdminSite):
    """Django's admin, whose sign-in is throttled together with that of the API."""

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the form, or sign in; 429 for who tries too often."""
        if request.method != "POST" or (wait := admit(request)) is None:
            return super().login(request, extra_context)
        context = {**self.each_context(request), "title": "Too many sign-ins", "wait": wait}
        return TemplateResponse(
            request,
            "admin/too_many_sign_ins.html",
            context,
            status=HTTPStatus.TOO_MANY_REQUESTS,
            headers={"Retry-After": str(wait)},
        )
