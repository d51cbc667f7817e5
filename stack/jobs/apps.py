from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "stack.jobs"
    label = "jobs"

    def ready(self) -> None:
        from stack.jobs import live  # noqa: F401
