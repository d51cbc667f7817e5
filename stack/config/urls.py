from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from stack.config import schema  # noqa: F401  # registers how the schema names the session cookie
from stack.config.docs import DocsView
from stack.config.health import healthz, readyz

# Addresses that begin otherwise than these are pages of the front end: `stack.pages` answers them.
urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("api/", include("stack.accounts.urls")),
    path("api/", include("stack.chat.urls")),
    path("api/", include("stack.jobs.urls")),
    path("api/live/", include("stack.live.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", DocsView.as_view(url_name="schema"), name="docs"),
]
