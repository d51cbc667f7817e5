from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any


class Wire:
    """What a socket wrote, and a way to wait for it."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.code: int | None = None
        self.aborted = False
        self._changed = asyncio.Event()
        self.blocked: asyncio.Event | None = None

    async def send(self, message: dict[str, Any]) -> None:
        if self.blocked is not None:
            await self.blocked.wait()
        if message["type"] == "websocket.close":
            self.code = message["code"]
        else:
            self.frames.append(json.loads(message["text"]))
        self._changed.set()

    def abort(self) -> None:
        self.aborted = True
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def has(self, count: int) -> None:
        """Wait until so many frames were written in all."""
        await self.until(lambda: len(self.frames) >= count)

    async def caught_up(self) -> list[dict[str, Any]]:
        await self.until(lambda: any(f["type"] == "heartbeat" for f in self.frames) or self.code is not None)
        return self.frames

    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if frame["type"] == "event"]
