from __future__ import annotations

from typing import Any

from stack.config.settings.core import REDIS_URL
from stack.config.settings.environment import ENVIRONMENT

CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # A Redis may be shared with other projects: what we keep there is ours by name.
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "stack"},
    }
}
if ENVIRONMENT.live_lossy:
    CHANNEL_LAYERS["default"]["BACKEND"] = "stack.live.lossy.LossyChannelLayer"
    CHANNEL_LAYERS["default"]["CONFIG"]["control"] = REDIS_URL

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "stack",
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
    },
    # Where throttles count while Redis is away: each process for itself.
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
