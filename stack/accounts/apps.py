from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "stack.accounts"
    label = "accounts"

    def ready(self) -> None:
        from stack.accounts import checks, live  # noqa: F401
