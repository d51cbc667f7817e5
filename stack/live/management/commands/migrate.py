from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate

from stack.live.checks import while_migrating
from stack.live.direct import use_direct_database


class Command(migrate.Command):
    """Django's own, but past a pooler, and without the check of the live triggers, which it is about to install."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        use_direct_database()
        return super().execute(*args, **options)

    def check(self, *args: Any, **kwargs: Any) -> None:
        with while_migrating():
            super().check(*args, **kwargs)
