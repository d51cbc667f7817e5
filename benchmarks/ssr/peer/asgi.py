"""The peer's ASGI application, with the HTTP client that django-nextjs shares between requests."""

from __future__ import annotations

from django.core.asgi import get_asgi_application
from django_nextjs.asgi import NextJsMiddleware

application = NextJsMiddleware(get_asgi_application())
