"""Finding and ending what belongs to a run: by HARNESS_RUN in a process's environment, never by its name."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from harness import locks
from harness.containers import leftovers as contained

VARIABLE = "HARNESS_RUN"
SOCKETS = Path("/tmp")
LOCK = "supervisor.lock"
_PREFIX = "tims-stack-"
_KEPT_RUNS = 30
_ENDED = (psutil.STATUS_ZOMBIE, None)


def was_killed(folder: Path) -> bool:
    """Whether the supervisor of the run in ``folder`` is gone without having ended the run itself."""
    return (folder / LOCK).exists() and not locks.is_held(folder / LOCK)


def tree(roots: Iterable[int]) -> list[psutil.Process]:
    """The living processes ``roots`` and all that descend from them."""
    children: dict[int, list[psutil.Process]] = {}
    everything: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            children.setdefault(process.ppid(), []).append(process)
        except psutil.Error:
            continue
        everything[process.pid] = process
    found: dict[int, psutil.Process] = {}
    waiting = [everything[pid] for pid in roots if pid in everything]
    while waiting:
        process = waiting.pop()
        if process.pid not in found and _lives(process):
            found[process.pid] = process
            waiting.extend(children.get(process.pid, ()))
    return list(found.values())


def is_frozen(root: int) -> bool:
    """Whether ``root`` and all that descend from it are stopped, or gone."""
    return all(_status(process) in (*_ENDED, psutil.STATUS_STOPPED) for process in tree([root]))


def pids_by_run() -> dict[str, list[int]]:
    """Process ids of all that carry a run id and that we may look at, by that id."""
    found: dict[str, list[int]] = {}
    for process in psutil.process_iter():
        try:
            run = process.environ().get(VARIABLE)
        except (psutil.Error, OSError):
            continue
        if run and _lives(process):
            found.setdefault(run, []).append(process.pid)
    return found


def processes_of(run: str) -> list[psutil.Process]:
    """All of a run, with descendants: servers overwrite the environment of their own children."""
    return tree(pids_by_run().get(run, ()))


def end_run(run: str, *, spare: frozenset[int] = frozenset(), grace: float = 1.0) -> int:
    """Ask every process of ``run`` to end, kill what is left after ``grace`` seconds; how many there were."""
    ended: set[int] = set()
    deadline = time.monotonic() + grace
    polite = True
    while True:
        alive = [process for process in processes_of(run) if process.pid not in spare]
        # What cannot be killed at all (stuck in the kernel) must not keep us here for ever.
        if not alive or time.monotonic() > deadline + 10:
            return len(ended)
        late = time.monotonic() >= deadline
        for process in alive:
            # Asked only once, as a second request means "drop everything" to some.
            if late or polite:
                send(process, signal.SIGKILL if late else signal.SIGTERM)
            ended.add(process.pid)
        polite = False
        psutil.wait_procs(alive, timeout=0.05 if late else max(0.0, min(0.2, deadline - time.monotonic())))


def send(process: psutil.Process, number: int) -> None:
    """Send a signal to a process that may be gone; one that is stopped is continued so that it hears it."""
    try:
        process.send_signal(number)
        if number not in (signal.SIGSTOP, signal.SIGKILL):
            process.send_signal(signal.SIGCONT)
    except (psutil.Error, OSError):
        return


def leftovers(run: str, places: Iterable[Path]) -> list[Path]:
    """Folders that ``run`` made outside its run folder, if they are ours."""
    return [path for place in {*places, SOCKETS} for path in place.glob(f"{_PREFIX}{run}*") if _is_ours(path)]


def remove_leftovers(run: str, places: Iterable[Path]) -> None:
    """Remove the folders that ``run`` made outside its run folder."""
    for folder in leftovers(run, places):
        shutil.rmtree(folder, ignore_errors=True)


def sweep(runs: Path, places: Iterable[Path]) -> list[str]:
    """End what killed runs left whose folders are in ``runs``: processes first, then folders and containers.

    The caller holds the start lock: a run that is just being made looks like a killed one.
    Runs whose supervisor lives and runs of other checkouts are left alone. Only the newest run folders are
    kept. Returns the ids of the runs that had left something.
    """
    places = tuple(places)
    if not runs.is_dir():
        return []
    folders = sorted(folder for folder in runs.iterdir() if folder.is_dir())
    killed = [folder.name for folder in folders if was_killed(folder)]
    carried = pids_by_run() if killed else {}
    swept = {run for run in killed if run in carried or leftovers(run, places)}
    for run in swept:
        end_run(run)
        remove_leftovers(run, places)
    for folder in folders:
        # Also of one that ended in order while its engine did not answer.
        if not contained.has_note(folder) or locks.is_held(folder / LOCK):
            continue
        if contained.remove_of(folder) and folder.name in killed:
            swept.add(folder.name)
    for run in killed:
        (runs / run / LOCK).unlink(missing_ok=True)
    for folder in folders[:-_KEPT_RUNS]:
        if not (folder / LOCK).exists() and not contained.has_note(folder):
            shutil.rmtree(folder, ignore_errors=True)
    return sorted(swept)


def _is_ours(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return not stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid()


def _lives(process: psutil.Process) -> bool:
    return _status(process) not in _ENDED


def _status(process: psutil.Process) -> str | None:
    try:
        return str(process.status())
    except psutil.Error:
        return None
