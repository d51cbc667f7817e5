"""The front end's packages: in step with `package-lock.json`, installed once."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from pathlib import Path

from harness.folders import Folders
from harness.frontend.commands import Listener, run, turn
from harness.frontend.node import Node, find_node

_STAMP = ".prepared"
# Few and quick, as people wait for the sentence that says that the registry is out of reach.
_RETRIES = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")


def ensure_packages(folders: Folders, *, on_progress: Listener) -> Path:
    """Have `frontend/node_modules` in step with the lock file and Node.js, and return it; does nothing if it is.

    Raises NodeMissing, BuildFailed, DiskFull, OSError.
    """
    node = find_node(folders.root)
    packages = folders.root / "frontend" / "node_modules"
    if _is_current(packages, node):
        return packages
    with turn(folders.root, on_progress) as lock:
        install(folders, node, lock=lock, tell=on_progress)
    return packages


def are_current(folders: Folders) -> bool:
    """Whether `frontend/node_modules` is in step; changes nothing. Raises NodeMissing."""
    return _is_current(folders.root / "frontend" / "node_modules", find_node(folders.root))


def install(folders: Folders, node: Node, *, lock: int, tell: Listener) -> None:
    """The same for one who has the turn already."""
    frontend = folders.root / "frontend"
    packages = frontend / "node_modules"
    if _is_current(packages, node):
        return
    tell("Installing the packages of the front end (once per change)...")
    began = time.monotonic()
    stamp = packages / _STAMP
    stamp.unlink(missing_ok=True)
    # The settings of npm and of the network come from here, but not one that leaves out half of the packages.
    environment = {name: value for name, value in os.environ.items() if name.upper() != "NODE_ENV"}
    run(
        [str(node.npm), "ci", "--include=dev", "--no-audit", "--no-fund", "--no-progress", *_RETRIES],
        directory=frontend,
        environment={**environment, "PATH": node.path()},
        log=fresh_log(folders, "frontend-packages"),
        lock=lock,
        failed="the packages of the front end could not be installed",
        began=began,
        tell=tell,
    )
    written = stamp.with_suffix(".new")
    written.write_text(_wanted(frontend, node), encoding="utf-8")
    written.replace(stamp)
    tell(f"Installed the packages of the front end in {time.monotonic() - began:.0f} s.")


def fresh_log(folders: Folders, name: str) -> Path:
    """An empty log of that name, in the cache."""
    log = folders.cache / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    return log


def _is_current(packages: Path, node: Node) -> bool:
    try:
        return (packages / _STAMP).read_text(encoding="utf-8") == _wanted(packages.parent, node)
    except OSError:
        return False


def _wanted(frontend: Path, node: Node) -> str:
    """A digest of all that decides what npm installs."""
    found = hashlib.sha256((frontend / "package-lock.json").read_bytes())
    found.update(f"{node.version} {sys.platform} {platform.machine()}".encode())
    return found.hexdigest()
