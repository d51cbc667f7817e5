"""What this server process has for its pages: a client of the renderers for each event loop, and counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from weakref import WeakKeyDictionary

from django.conf import settings

from stack.pages.breaker import State
from stack.pages.renderer import BUDGET, DEVELOPMENT_BUDGET, Reason, Renderers

# Connections belong to the loop that opened them, and a process may run one loop after another.
_renderers: WeakKeyDictionary[asyncio.AbstractEventLoop, Renderers] = WeakKeyDictionary()
# How often pages were rendered, and why not. All keys are there from the start: health checks read in other threads.
_counts: Counter[str] = Counter({"rendered": 0, **{reason.value: 0 for reason in Reason}})


def renderers() -> Renderers:
    """Those of the running event loop."""
    loop = asyncio.get_running_loop()
    if (found := _renderers.get(loop)) is None:
        development = settings.FRONTEND_DEV_URL
        urls = settings.RENDERER_URLS or ([development] if development else [])
        found = _renderers[loop] = Renderers(urls, budget=DEVELOPMENT_BUDGET if development else BUDGET)
    return found


def count(reason: Reason | None) -> None:
    """Note that a page was rendered, or why not."""
    _counts["rendered" if reason is None else reason.value] += 1


async def close() -> None:
    """Close the running loop's connections; part of the server's shutdown."""
    if (found := _renderers.pop(asyncio.get_running_loop(), None)) is not None:
        await found.close()


def status() -> dict[str, Any]:
    """For health checks: pages rendered and shells by reason since the start, and the renderers' breakers."""
    shells = {name: number for name, number in _counts.items() if name != "rendered" and number}
    return {"rendered": _counts["rendered"], "shells": shells, "renderers": _states()}


def trouble() -> str | None:
    """Why pages are shells at the moment; None if they are not, or nothing is known yet."""
    if not settings.RENDERER_URLS and not settings.FRONTEND_DEV_URL:
        return "no renderer is set (RENDERER_URLS): pages are shells"
    states = _states()
    left_alone = sum(state != State.CLOSED for state in states)
    if left_alone:
        return f"{left_alone} of {len(states)} renderers fail" + (
            ": pages are shells" if left_alone == len(states) else ""
        )
    return None


def _states() -> list[str]:
    return [state for found in list(_renderers.values()) for state in found.states]
