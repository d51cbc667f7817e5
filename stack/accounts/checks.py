from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

SESSION_ENGINE = "stack.accounts.sessions"


@register(Tags.security)
def sessions_lie_in_the_database(**_: Any) -> list[CheckMessage]:
    """Refuse session engines whose ends the database would not see."""
    if settings.SESSION_ENGINE == SESSION_ENGINE:
        return []
    return [
        Error(
            f"SESSION_ENGINE is {settings.SESSION_ENGINE!r}, so signing out would leave sockets open.",
            hint=f"Set it to {SESSION_ENGINE!r}: the end of such a session is seen by the database.",
            id="accounts.E001",
        )
    ]
