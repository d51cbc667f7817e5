from __future__ import annotations

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "stack.config"
    label = "config"

    def ready(self) -> None:
        # Makes the Celery app the current one in every process that may send a task.
        from stack.config import celery  # noqa: F401
