from __future__ import annotations

from stack.config.settings.environment import ENVIRONMENT

TIMEOUT = 5
"""Seconds in which there is a connection, or a request fails."""

DATABASES = {
    "default": {
        **ENVIRONMENT.database,
        "ENGINE": "stack.config.postgres",
        # Under ASGI each request has a thread of its own: a kept connection would be one a thread.
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            "connect_timeout": TIMEOUT,
            # A server that is gone without a word is noticed in seconds, not in the kernel's quarter of an hour.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            **ENVIRONMENT.database.get("OPTIONS", {}),
            "pool": {
                "min_size": 1,
                "max_size": ENVIRONMENT.database_pool_size,
                "timeout": TIMEOUT,
                # A connection tries for as long by itself; the next request has it begin anew.
                "reconnect_timeout": TIMEOUT,
            },
        },
    }
}
