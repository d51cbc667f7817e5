"""Hints: a commit tells the relay at once. Losing one costs milliseconds, never a change: the relay polls anyway."""

from __future__ import annotations

import threading
import time
from typing import Any

import redis
from django.conf import settings
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save

from stack.live.registry import registry

CHANNEL = "live:hint"

_TIMEOUT = 0.1
_PAUSE_AFTER_FAILURE = 1.0


class _Hinter:
    """Publishes without ever holding up a request: short time-outs, and a pause while Redis is away."""

    def __init__(self) -> None:
        self._client: redis.Redis | None = None
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def send(self) -> None:
        if time.monotonic() < self._silent_until:
            return
        with self._lock:
            self._client = self._client or redis.Redis.from_url(
                settings.REDIS_URL, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
            )
        try:
            self._client.publish(CHANNEL, "")
        except redis.RedisError:
            self._silent_until = time.monotonic() + _PAUSE_AFTER_FAILURE


_hinter = _Hinter()


def _changed(sender: Any, using: str = "default", **_kwargs: Any) -> None:
    if sender._meta.db_table not in _tables():
        return
    connection = transaction.get_connection(using)
    if not any(function is _hinter_send for _sids, function, *_ in connection.run_on_commit):
        transaction.on_commit(_hinter_send, using=using, robust=True)


_hinter_send = _hinter.send


def _tables() -> set[str]:
    return {entity.table for entity in registry.entities.values()}


def connect() -> None:
    """Send a hint after every commit in which the ORM wrote a live model one by one; bulk and SQL wait for the poll."""
    for signal in (post_save, post_delete, m2m_changed):
        signal.connect(_changed, dispatch_uid="live.hint", weak=False)
