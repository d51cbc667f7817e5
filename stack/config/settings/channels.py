from __future__ import annotations

from stack.config.settings.core import REDIS_URL

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # A Redis may be shared with other projects: what we keep there is ours by name.
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "stack"},
    }
}

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
