from __future__ import annotations

from django.apps import AppConfig


class LiveConfig(AppConfig):
    name = "stack.live"
    label = "live"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Live"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from stack.live import checks, hints, installing  # noqa: F401

        post_migrate.connect(installing.install_after_migrate, sender=self)
        hints.connect()
