"""The supervisor's ear: JSON lines over a unix socket in a folder that only its owner can enter.

A request is ``{"op": ..., ...}``; the answer ``{"ok": true, ...}`` or ``{"ok": false, "error", "message",
"hint", "lines"}``. After ``{"op": "watch"}`` one snapshot follows another, each when something has changed.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from harness import errors
from harness.stack.status import Failure, Snapshot

_LIMIT = 1 << 20

Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Server:
    """Serves requests with ``handler`` and snapshots to those who watch."""

    def __init__(self, handler: Handler, snapshot: Callable[[], Snapshot]) -> None:
        self._handler = handler
        self._snapshot = snapshot
        self._changed = asyncio.Condition()
        self._version = 0
        self._server: asyncio.Server | None = None
        self._watchers: set[asyncio.Task[None]] = set()
        self._ending = False

    async def open(self, path: Path) -> None:
        """Listen at ``path``."""
        self._server = await asyncio.start_unix_server(self._serve, str(path), limit=_LIMIT)

    async def publish(self) -> None:
        """Tell everyone who watches that something has changed."""
        async with self._changed:
            self._version += 1
            self._changed.notify_all()

    async def close(self) -> None:
        """Send those who watch the last snapshot, then hang up."""
        self._ending = True
        await self.publish()
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=1)
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                request = json.loads(line)
                if request.get("op") == "watch":
                    task = asyncio.current_task()
                    assert task is not None
                    self._watchers.add(task)
                    task.add_done_callback(self._watchers.discard)
                    await self._send_snapshots(writer)
                    return
                writer.write(_line(await self._answer(request)))
                await writer.drain()
        except (ConnectionError, ValueError):
            return
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"ok": True, **await self._handler(request)}
        except errors.HarnessError as error:
            return {
                "ok": False,
                "error": type(error).__name__,
                "resource": getattr(error, "resource", ""),
                "sentence": str(error),
                "hint": error.hint,
                "lines": list(getattr(error, "lines", ())),
            }

    async def _send_snapshots(self, writer: asyncio.StreamWriter) -> None:
        seen = -1
        while True:
            async with self._changed:
                while seen == self._version and not self._ending:
                    await self._changed.wait()
                seen, last = self._version, self._ending
            writer.write(_line(self._snapshot().to_json()))
            await writer.drain()
            if last:
                return


class Client:
    """Asks the supervisor whose socket is at ``path``. Thread-safe: each request has its own connection."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ask(self, op: str, *, within: float = 30.0, **arguments: Any) -> dict[str, Any]:
        """The answer. Raises the HarnessError that the supervisor raised, SupervisorGone or SupervisorSilent."""
        try:
            with closing(self._connect(within)) as connection:
                connection.sendall(_line({"op": op, **arguments}))
                with connection.makefile("rb") as stream:
                    line = stream.readline()
        except TimeoutError as error:
            raise errors.SupervisorSilent(
                f"The supervisor of this run has not answered within {within:g} s, though it lives.",
                hint="Wait a little and try again, or end the run with: harness down",
            ) from error
        except OSError as error:
            raise _gone() from error
        if not line:
            raise _gone()
        answer: dict[str, Any] = json.loads(line)
        if answer.pop("ok"):
            return answer
        raise as_error(Failure.from_json(answer))

    def watch(self, *, within: float | None = None) -> Iterator[Snapshot]:
        """Snapshots, the present one first, until the supervisor hangs up.

        ``within`` is the most seconds between two; raises TimeoutError after that, or SupervisorGone.
        """
        try:
            with closing(self._connect(within)) as connection:
                connection.sendall(_line({"op": "watch"}))
                with connection.makefile("rb") as stream:
                    for line in stream:
                        yield Snapshot.from_json(json.loads(line))
        except TimeoutError:
            raise
        except OSError as error:
            raise _gone() from error

    def _connect(self, within: float | None) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(within)
        try:
            connection.connect(str(self.path))
        except BaseException:
            connection.close()
            raise
        return connection


def as_error(failure: Failure) -> errors.HarnessError:
    """The error of harness.errors that the failure names."""
    kind: type[errors.HarnessError] = getattr(errors, failure.error)
    if issubclass(kind, errors.ResourceFailed):
        return kind(failure.sentence, hint=failure.hint, resource=failure.resource, lines=failure.lines)
    return kind(failure.sentence, hint=failure.hint)


def _gone() -> errors.SupervisorGone:
    return errors.SupervisorGone(
        "The supervisor of this run has ended, and everything of the run with it.",
        hint="Start again with: harness up",
    )


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
