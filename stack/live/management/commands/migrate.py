from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate

from stack.live.checks import while_migrating


class Command(migrate.Command):
    """Django's own, but for the check of the live triggers, which it is about to install."""

    def check(self, *args: Any, **kwargs: Any) -> None:
        with while_migrating():
            super().check(*args, **kwargs)
