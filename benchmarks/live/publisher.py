"""The other end of ``python -m benchmarks.live.publish``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.live.crowd import Failed
from benchmarks.live.pace import Published
from harness.folders import CHECKOUT

STARTS_WITHIN = 90.0
PUBLISHES_WITHIN = 60.0
LEAD = 0.2
"""Seconds between an order and the first change that is due, so that it does not begin late."""


class Publisher:
    """A process that publishes in one way."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def publish(self, number: int, **order: Any) -> Published:
        """Publish one change at once."""
        await self._say({"first": number, "count": 1, "period": 0.0, **order})
        return await self._published()

    async def keep_pace(self, first: int, *, count: int, period: float, **order: Any) -> list[Published]:
        """Publish so many changes, one every ``period`` seconds, whether or not they arrive."""
        begin = time.monotonic() + LEAD
        await self._say({"first": first, "count": count, "period": period, "begin": begin, **order})
        return [await self._published(more=count * period + LEAD) for _ in range(count)]

    async def _published(self, *, more: float = 0.0) -> Published:
        number, due, began, at = json.loads(await self._line(PUBLISHES_WITHIN + more))
        return Published(number=number, due=due, began=began, at=at)

    async def _say(self, order: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    async def _line(self, within: float) -> bytes:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        try:
            async with asyncio.timeout(within):
                line = await self._process.stdout.readline()
        except TimeoutError as error:
            raise Failed(f"A change was not published in {within:.0f} s.") from error
        if not line:
            said = (await self._process.stderr.read()).decode(errors="replace").strip()
            raise Failed(f"A change could not be published: {said.rpartition(chr(10))[2]}")
        return line


@asynccontextmanager
async def publishing(way: str, **config: Any) -> AsyncGenerator[Publisher]:
    """A publisher that is ready."""
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "benchmarks.live.publish")
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, stderr=pipe)
    publisher = Publisher(process)
    try:
        await publisher._say({"way": way, **config})
        await publisher._line(STARTS_WITHIN)
        yield publisher
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(STARTS_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
