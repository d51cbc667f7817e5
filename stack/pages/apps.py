from __future__ import annotations

from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "stack.pages"
    label = "pages"
