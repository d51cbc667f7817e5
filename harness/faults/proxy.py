"""``python -m harness.faults.proxy TARGETS``: a TCP proxy in front of each of a run's servers.

Without a fault it hands on what it gets. Ready, over NOTIFY_SOCKET, is it when every proxy listens; the socket
for asking for faults lies beside that one.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from harness.faults.control import Control
from harness.faults.door import Door
from harness.faults.target import CONTROL, Target, from_argument


async def serve(targets: Iterable[Target], control: Path) -> tuple[dict[str, Door], Control]:
    """Open every proxy and then the control socket at ``control``; raises OSError for a port that is taken."""
    doors = {target.name: Door(target) for target in targets}
    for door in doors.values():
        await door.open()
    asking = Control(doors)
    await asking.open(control)
    return doors, asking


def notify(address: Path, run: str) -> None:
    """Tell the supervisor that this process is ready."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(f"READY=1\nHARNESS_RUN={run}\n".encode(), str(address))


async def _run(targets: Iterable[Target]) -> None:
    address = Path(os.environ["NOTIFY_SOCKET"])
    opened = await serve(targets, address.with_name(CONTROL))
    notify(address, os.environ["HARNESS_RUN"])
    # Ended by a signal; the reference keeps all of it alive.
    await asyncio.Event().wait()
    del opened


def main(arguments: list[str]) -> None:
    """Entry point; ``arguments``: the targets."""
    # Two descriptors a connection, where a server behind it needs one.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems name a limit that they then do not grant.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        asyncio.run(_run(from_argument(arguments[0])))
    except OSError as error:
        sys.exit(f"The proxies could not be opened: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
