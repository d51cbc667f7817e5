"""Work that goes on for as long as the process does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

_PAUSE = 1.0


def go_on(work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Run endless work as a task. An error in it is logged with its traceback and the work begins anew:
    a background task that ends in silence would leave everybody waiting for it.
    """

    async def endless() -> None:
        while True:
            try:
                await work()
            except Exception:
                logger.exception("%s failed and begins anew", getattr(work, "__qualname__", work))
                await asyncio.sleep(_PAUSE)

    return asyncio.create_task(endless())
