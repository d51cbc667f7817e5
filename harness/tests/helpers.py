"""What the tests of services and stack share: waiting with deadlines, small fake resources, who is alive."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseServer
from typing import TypeVar

import psutil

from harness.folders import CHECKOUT, Folders
from harness.resources import Exit, Kind, Notify, Readiness, Resource
from harness.stack import RunningStack, StackOptions, start_stack

GONE_WITHIN = 3.0

Server = TypeVar("Server", bound=BaseServer)

FOREVER = "import signal; signal.pause()"
SAY_READY = """
import os, socket, signal
print("hello from the fake", flush=True)
message = f"READY=1\\nHARNESS_RUN={os.environ['HARNESS_RUN']}\\n".encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
    client.sendto(message, os.environ["NOTIFY_SOCKET"])
"""
NOTIFIES = SAY_READY + "signal.pause()"
STUBBORN = (
    "import signal, os\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.fork()\n"
    + SAY_READY
    + "while True: signal.pause()"
)


def eventually(condition: Callable[[], object], *, within: float, what: str) -> None:
    """Wait until ``condition`` is true; fails after ``within`` seconds."""
    assert comes_true(condition, within=within), f"not within {within:g} s: {what}"


def comes_true(condition: Callable[[], object], *, within: float) -> bool:
    """Wait until ``condition`` is true, or for ``within`` seconds; whether it came true."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve on a thread until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def read_until(terminal: int, wanted: str, *, within: float) -> str:
    """What a terminal shows until `wanted` turns up in it, or until it is closed."""
    shown, deadline = "", time.monotonic() + within
    while wanted not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no {wanted!r} within {within:g} s in:\n{shown}"
        try:
            part = os.read(terminal, 65536)
        except OSError:
            # Linux reports the end of a terminal so.
            break
        if not part:
            break
        shown += part.decode(errors="replace")
    return shown


def carriers(run: str) -> list[int]:
    """Process ids of all that carry the run's id, found without the code under test."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("HARNESS_RUN") == run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def is_alive(pid: int) -> bool:
    """Whether a process lives (a zombie does not)."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def fake(
    name: str,
    program: str = NOTIFIES,
    *,
    readiness: Readiness | None = None,
    kind: Kind = "process",
    depends_on: tuple[str, ...] = (),
    within: float = 30.0,
    grace: float = 5.0,
    environment: Mapping[str, str] | None = None,
    inherits: bool = True,
) -> Resource:
    """A resource that is a few lines of Python."""
    return Resource(
        name=name,
        kind=kind,
        command=(sys.executable, "-u", "-c", program),
        readiness=readiness or Notify(),
        directory=str(CHECKOUT),
        depends_on=depends_on,
        within=within,
        grace=grace,
        environment=environment or {},
        inherits=inherits,
    )


def task(name: str, program: str, *, depends_on: tuple[str, ...] = ()) -> Resource:
    """A fake that is done when its program ends with 0."""
    return fake(name, program, readiness=Exit(), kind="task", depends_on=depends_on)


def start_fakes(folders: Folders, *resources: Resource, up: bool = False) -> RunningStack:
    """A stack of fakes alone, without services."""
    options = StackOptions(services="embedded", resources=frozenset(), extra=resources, up=up)
    return start_stack(options, folders=folders)


def run_folder(folders: Folders) -> Path:
    """The only run's folder."""
    (folder,) = (path for path in folders.runs.iterdir() if path.is_dir())
    return folder
