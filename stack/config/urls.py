from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from stack.config import schema  # noqa: F401  # registers how the schema names the session cookie
from stack.config.docs import DocsView
from stack.config.health import healthz, readyz

urlpatterns = [
    # The address of the app that a start prints leads somewhere: until there are pages, to what there is to see.
    path("", RedirectView.as_view(pattern_name="docs")),
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
