from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stack.config.settings.environment import ENVIRONMENT

TIMEOUT = 5
"""Seconds in which there is a connection, or a request fails."""


def entry(database: Mapping[str, Any], *, pooled_elsewhere: bool) -> dict[str, Any]:
    """An entry of Django's ``DATABASES``.

    Args:
        database: as django-environ reads it from a URL.
        pooled_elsewhere: a pooler lies in between, which gives each transaction another session.
    """
    return {
        **database,
        "ENGINE": "stack.config.postgres",
        # Under ASGI each request has a thread of its own: a kept connection would be one a thread.
        "CONN_MAX_AGE": 0,
        # A cursor of the server does not outlast its transaction there.
        "DISABLE_SERVER_SIDE_CURSORS": pooled_elsewhere,
        "OPTIONS": {
            "connect_timeout": TIMEOUT,
            # A server that is gone without a word is noticed in seconds, not in the kernel's quarter of an hour.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            **database.get("OPTIONS", {}),
            "pool": {
                "min_size": 1,
                "max_size": ENVIRONMENT.database_pool_size,
                "timeout": TIMEOUT,
                # A connection tries for as long by itself; the next request has it begin anew.
                "reconnect_timeout": TIMEOUT,
            },
        },
    }


DATABASES = {"default": entry(ENVIRONMENT.database, pooled_elsewhere=ENVIRONMENT.live_database is not None)}
LIVE_DATABASE = None if ENVIRONMENT.live_database is None else entry(ENVIRONMENT.live_database, pooled_elsewhere=False)
