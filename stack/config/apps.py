from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class ConfigConfig(AppConfig):
    name = "stack.config"
    label = "config"

    def ready(self) -> None:
        # Makes the Celery app the current one in every process that may send a task.
        from stack.config import celery  # noqa: F401
        from stack.config.settings.logging import quiet_server_logs

        quiet_server_logs()


class AdminConfig(admin.AdminConfig):
    """Django's admin, on a site of our own."""

    default = False
    default_site = "stack.accounts.admin_site.AdminSite"
