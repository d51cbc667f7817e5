"""How faults are asked for: JSON lines over a unix socket in a folder that only its owner can enter.

A fault lives exactly as long as the connection that asked for it, so nothing has to be undone for a harness
that was killed. Requests of one connection, in this order:

* ``{"op": "begin", "target": ..., "fault": ..., "settings": {...}}``
* ``{"op": "counters"}``, as often as one likes: what has happened at the target since then
* ``{"op": "end"}``: the same once more, after the fault; hanging up does without

The answer is ``{"ok": true, "counters": {...}}`` or ``{"ok": false, "sentence": ..., "hint": ...}``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.faults.conditions import read_fault
from harness.faults.counters import Counters
from harness.faults.door import Active, Door


class Control:
    """Serves those who ask for faults at ``doors``, which are by name."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._doors = doors
        self._server: asyncio.Server | None = None

    async def open(self, path: Path) -> None:
        """Listen at ``path``; the socket that a killed predecessor has left there is replaced."""
        self._server = await asyncio.start_unix_server(self._serve, str(path))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self._doors)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(session, line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            # ValueError: a line of more than asyncio's limit.
            return
        finally:
            await session.end()
            writer.close()


async def _answer(session: _Session, line: bytes) -> dict[str, Any]:
    try:
        return {"ok": True, "counters": asdict(await session.handle(line))}
    except HarnessError as error:
        return {"ok": False, "sentence": str(error), "hint": error.hint}


class _Session:
    """One connection and the fault that it holds."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._doors = doors
        self._door: Door | None = None
        self._active: Active | None = None
        self._before = Counters()

    async def handle(self, line: bytes) -> Counters:
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            raise HarnessError("A request is an object in one line of JSON.")
        match request.get("op"):
            case "begin":
                await self._begin(request)
            case "counters" if self._door is not None:
                pass
            case "end" if self._door is not None:
                await self.end()
            case "counters" | "end":
                raise HarnessError("No fault has begun on this connection.")
            case other:
                raise HarnessError(f"The proxies do not know {other!r}.", hint="They know: begin, counters, end.")
        assert self._door is not None
        return self._door.tally.now().since(self._before)

    async def end(self) -> None:
        """Take the fault back, if there is one."""
        active, self._active = self._active, None
        if active is not None and self._door is not None:
            await self._door.end(active)

    async def _begin(self, request: Mapping[str, Any]) -> None:
        if self._door is not None:
            raise HarnessError("A connection holds one fault; open another for another.")
        name = request.get("target")
        door = self._doors.get(name) if isinstance(name, str) else None
        if door is None:
            known = ", ".join(self._doors) or "nothing"
            raise HarnessError(f"There is no proxy in front of {name!r}.", hint=f"There is one in front of: {known}.")
        fault = read_fault(request.get("fault"), request.get("settings", {}))
        self._door, self._before = door, door.tally.now()
        self._active = await door.begin(fault)
