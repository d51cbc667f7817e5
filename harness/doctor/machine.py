"""The machine: room on its disks, its limits, its account, its clock."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path

from harness.doctor.check import Check, Finding, Ground, bad, ok, warn
from harness.folders import account_name

GIB = 1 << 30
LEAST = GIB // 2
"""Bytes below which a start is likely to fail."""
WANTED = 2 * GIB
"""Bytes for environments, a build, packages, data and reports of some days."""
MEMORY = Path("/dev/shm")

FILES = 4096
"""Open files of one process: load with 2,000 people opens a socket for each, on either side."""
FEWEST_FILES = 256

MOST_OFF = 2.0
"""Seconds that clocks may differ."""
_MOMENT = 0.05


def disk(ground: Ground) -> Finding:
    """Free space where things are kept, and whether they can be kept there at all."""
    folders = ground.folders
    found: dict[int, tuple[float, list[str]]] = {}
    for path in (folders.runs, folders.data, folders.cache, Path(tempfile.gettempdir())):
        place = _nearest(path)
        if not place.is_dir():
            return bad(f"{place} is no folder", fix="Move it away, or set HARNESS_RUNS, HARNESS_DATA, HARNESS_CACHE.")
        if not os.access(place, os.W_OK | os.X_OK):
            return bad(
                f"{place} can't be written to (it belongs to {account_name(place.stat().st_uid)})",
                fix=f"chown it, or set HARNESS_RUNS, HARNESS_DATA or HARNESS_CACHE to a folder of your own: {path}",
            )
        found.setdefault(place.stat().st_dev, (_free(place), []))[1].append(path.name)
    told = "; ".join(f"{free / GIB:.1f} GiB free for {', '.join(names)}" for free, names in found.values())
    if MEMORY.is_dir():
        told += f"; {_free(MEMORY) / GIB:.1f} GiB in {MEMORY}"
    least = min(free for free, _ in found.values())
    if least < WANTED:
        fix = f"Free {(WANTED - least) / GIB:.1f} GiB: old runs in {folders.runs}, builds in {folders.cache}."
        return bad(told, fix=fix) if least < LEAST else warn(told, fix=fix)
    return ok(told)


def limits(_ground: Ground) -> Finding:
    """How many files a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    told = f"{_number(soft)} open files (at most {_number(hard)})"
    if soft == endless or soft >= FILES:
        return ok(told)
    told += f", load with 2,000 people needs {FILES}"
    possible = hard == endless or hard >= FILES
    fix = f"ulimit -n {FILES}" if possible else f"As root: ulimit -Hn {FILES}; lastingly in /etc/security/limits.conf."
    return bad(told, fix=fix) if soft < FEWEST_FILES else warn(told, fix=fix)


def account(ground: Ground) -> Finding:
    """Whose processes the servers will be. Raises `SourceUnusable` if there is no account for root to use."""
    from harness.services.account import reachable, server_account

    servers = server_account()
    if servers is None:
        return ok(f"runs as {account_name(os.geteuid())}, and so do the servers")
    told = f"runs as root, the servers as {account_name(servers.uid)}"
    if not reachable(ground.folders.root, servers):
        told += ", from copies below /var/tmp as that account can't reach the checkout"
    if ground.environ.get("SUDO_USER"):
        return warn(
            f"{told}; by sudo, so all that is made here will belong to root",
            fix="Run it without sudo: nothing here needs root.",
        )
    return ok(told)


def clock(ground: Ground) -> Finding:
    """Whether time passes evenly, and whether files get the time that the clock shows."""
    steady, shown = time.monotonic(), time.time()
    time.sleep(_MOMENT)
    drift = (time.time() - shown) - (time.monotonic() - steady)
    if time.monotonic() <= steady or abs(drift) > MOST_OFF:
        return bad(
            f"the clock was moved by {drift:+.1f} s just now", fix="Have it set by one service only, such as NTP."
        )
    ahead = (ground.folders.root / "pyproject.toml").stat().st_mtime - time.time()
    if ahead > MOST_OFF:
        return bad(
            f"the clock is behind: files of the checkout are from {_span(ahead)} in the future",
            fix="Set the clock (such as `timedatectl set-ntp true`), or touch the files.",
        )
    with tempfile.NamedTemporaryFile(dir=_nearest(ground.folders.runs)) as file:
        off = Path(file.name).stat().st_mtime - time.time()
    if abs(off) > MOST_OFF:
        return warn(
            f"files in {ground.folders.runs} get times that are {off:+.1f} s off",
            fix="Their file system lives on a machine with another clock: set both, or move HARNESS_RUNS.",
        )
    return ok("passes evenly and agrees with the file system")


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def _free(place: Path) -> float:
    """Bytes; none where no more files can be made."""
    found = os.statvfs(place)
    # Some file systems count no files at all.
    return 0.0 if found.f_files and not found.f_favail else float(found.f_bavail * found.f_frsize)


def _number(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def _span(seconds: float) -> str:
    return f"{seconds / 86400:.1f} days" if seconds > 86400 else f"{seconds / 60:.0f} minutes"


CHECKS = (
    Check(name="disk", look=disk),
    Check(name="file limits", look=limits),
    Check(name="account", look=account),
    Check(name="clock", look=clock),
)
