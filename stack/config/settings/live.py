from __future__ import annotations

from stack.config.settings.environment import ENVIRONMENT

LIVE_RETENTION = ENVIRONMENT.live_retention
LIVE_MOST_SOCKETS = ENVIRONMENT.live_most_sockets
LIVE_DRAIN = ENVIRONMENT.live_drain
