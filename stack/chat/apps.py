from __future__ import annotations

from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "stack.chat"
    label = "chat"

    def ready(self) -> None:
        from stack.chat import live  # noqa: F401
