"""``python -m benchmarks.live.publish``: publishes what it is told on its standard input, so that no loop is shared.

The first line says which way, with secrets that are nobody's to see in a list of processes; each further one is an
order for some changes. It prints a line for each change: number, when it was due, when it began, when it was published.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack

import uvloop

from benchmarks.live.pace import slots
from benchmarks.live.ways import WAYS


async def serve() -> None:
    """Until the input ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    config = json.loads(await lines.readline())
    way = WAYS[config.pop("way")](**config)
    async with AsyncExitStack() as ending:
        await way.prepare(ending)
        _say("ready")
        while line := await lines.readline():
            order = json.loads(line)
            way.begin(order)
            begin = order.get("begin") or time.monotonic()
            number = order["first"]
            async for due in slots(begin=begin, period=order["period"], count=order["count"]):
                began = time.monotonic()
                at = await way.publish(number)
                _say(json.dumps([number, due, began, at]))
                number += 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve())
