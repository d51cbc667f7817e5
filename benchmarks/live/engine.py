"""This stack's own ASGI application; answers to requests say when the transaction of theirs was committed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from django.db import transaction
from django.db.models.signals import pre_save

from benchmarks.live.wire import HEADER
from stack.config.asgi import application as stack_application


class _Commits:
    """When the last one returned, by the clock that all processes of a machine share, in seconds."""

    at = 0.0

    def note(self) -> None:
        self.at = time.monotonic()


_commits = _Commits()


def _saving(**_kwargs: Any) -> None:
    # Before a model is saved, so that this comes before whatever else waits for the commit.
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(_commits.note)


pre_save.connect(_saving)


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The stack's, with one header more in answers over HTTP."""
    if scope["type"] != "http":
        await stack_application(scope, receive, send)
        return

    async def send_stamped(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (HEADER.encode(), repr(_commits.at).encode())]
        await send(message)

    await stack_application(scope, receive, send_stamped)
