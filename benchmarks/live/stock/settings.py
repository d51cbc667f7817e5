"""This stack's database and sessions; the channel layer as channels_redis has it."""

from __future__ import annotations

from stack.config.settings import *  # noqa: F403 - all settings but the one below
from stack.config.settings import REDIS_URL

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "stock"},
    }
}
