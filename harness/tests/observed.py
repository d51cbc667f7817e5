"""A backend more, on a running stack's database, that notes every statement it asks, and may have a wrong clock."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from harness.folders import CHECKOUT
from harness.ports import free_port
from harness.stack import RunningStack
from harness.stack.environment import process_environment
from harness.tests.helpers import eventually

READY_WITHIN = 60.0

# No parameters: they hold keys of sessions.
_SERVER = """
import datetime, functools, json, runpy, sys, time
from django.db.backends import utils
from django.utils import timezone

off = float(sys.argv.pop(2))
right, now = time.time, timezone.now
time.time = lambda: right() + off
timezone.now = lambda: now() + datetime.timedelta(seconds=off)

notes = open(sys.argv.pop(1), "a", encoding="utf-8", buffering=1)

def noted(method):
    @functools.wraps(method)
    def asked(self, sql, *args, **kwargs):
        notes.write(json.dumps(str(sql)) + "\\n")
        return method(self, sql, *args, **kwargs)
    return asked

for name in ("_execute", "_executemany"):
    setattr(utils.CursorWrapper, name, noted(getattr(utils.CursorWrapper, name)))
runpy.run_module("uvicorn", run_name="__main__")
"""


@dataclass
class Observed:
    """The backend; `base` is its origin, `clock` by how many seconds its clock is ahead."""

    base: str
    clock: float
    _stack: RunningStack
    _port: int
    _folder: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def statements(self) -> list[str]:
        """Every statement that it, or one before it at the same address, has asked so far, oldest first.

        BEGIN and COMMIT are not among them.
        """
        return [json.loads(line) for line in self._notes.read_text(encoding="utf-8").splitlines()]

    def start(self) -> None:
        """Start it and wait until it is ready to serve."""
        command = [sys.executable, "-c", _SERVER, str(self._notes), str(self.clock), "stack.config.asgi:application"]
        address = ["--host", "127.0.0.1", "--port", str(self._port), "--lifespan", "on", "--no-access-log"]
        sockets = ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
        ours = {**self._stack.environment, **self._stack.direct, "APP_ORIGINS": self.base, "PGAPPNAME": "observed"}
        with (self._folder / "observed.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *address, *sockets, "--timeout-graceful-shutdown", "1"],
                cwd=CHECKOUT,
                env=process_environment(ours),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._is_ready, within=READY_WITHIN, what=f"a backend more is ready, see {log.name}")

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def _notes(self) -> Path:
        return self._folder / "statements.jsonl"

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the backend has ended"
        try:
            return httpx.get(f"{self.base}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def observed(stack: RunningStack, folder: Path, *, clock: float = 0.0) -> Iterator[Observed]:
    """Run one until the end of the block; what it notes and logs lies in `folder`."""
    port = free_port()
    server = Observed(f"http://127.0.0.1:{port}", clock, stack, port, folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
