"""The app's port, the stacks that are up, and what killed ones left."""

from __future__ import annotations

import json

from harness.doctor.check import Check, Finding, Ground, bad, ok, warn
from harness.errors import HarnessError
from harness.ports import is_free

_ANSWER_WITHIN = 2.0


def port(ground: Ground) -> Finding:
    """Whether the app gets the port that people expect it at."""
    if is_free(ground.port):
        return ok(f"{ground.port} is free")
    holder = _holder(ground.port)
    if holder is None:
        whose = "a program of another account"
    else:
        pid, name, run = holder
        if run and (ground.folders.runs / run).is_dir():
            return ok(f"{ground.port} is used by this checkout's run {run}")
        whose = f"{name} (process {pid})"
    return warn(
        f"{ground.port} is taken by {whose}, so the app gets another port",
        fix="End that program, or choose a port: harness up --port N",
    )


def stacks(ground: Ground) -> Finding:
    """Which runs of this checkout are up, and whether their supervisors answer."""
    from harness.stack.control import Client
    from harness.stack.running import live_runs, running_up
    from harness.stack.supervisor import STATE_FILE

    up = running_up(ground.folders)
    told = []
    for run in live_runs(ground.folders):
        try:
            state = json.loads((ground.folders.runs / run / STATE_FILE).read_text(encoding="utf-8"))
            Client(state["control"]).ask("status", within=_ANSWER_WITHIN)
        except FileNotFoundError:
            told.append(f"{run} is just starting")
        except (HarnessError, ValueError, KeyError) as error:
            return bad(
                f"run {run} is up, but its supervisor does not answer ({error})",
                fix=f"harness down --run {run}, else kill whatever has HARNESS_RUN={run} in its environment",
            )
        else:
            told.append(f"{run} is up{' (harness up)' if run == up else ''}")
    return ok(", ".join(told) or "none is up")


def leftovers(ground: Ground) -> Finding:
    """What killed runs left: processes, folders in memory or temporary places, perhaps containers."""
    from harness.containers.leftovers import has_note
    from harness.services.account import throwaway_places
    from harness.stack import sweep

    runs = ground.folders.runs
    folders = runs.iterdir() if runs.is_dir() else ()
    killed = sorted(folder.name for folder in folders if folder.is_dir() and sweep.was_killed(folder))
    carried = sweep.pids_by_run() if killed else {}
    places = throwaway_places(ground.folders.root)
    told = []
    for run in killed:
        processes, rests = len(carried.get(run, ())), len(sweep.leftovers(run, places))
        # The engine itself is not asked: it may be slow, or gone.
        containers = has_note(runs / run)
        if processes or rests or containers:
            perhaps = ", perhaps containers as well" if containers else ""
            told.append(f"{run} left {processes} processes and {rests} folders{perhaps}")
    if told:
        return warn("; ".join(told), fix="The next start sweeps them up: harness up")
    return ok("killed runs left nothing")


def _holder(number: int) -> tuple[int, str, str] | None:
    """Who listens on a port, with the run it belongs to; None if that can't be seen."""
    import psutil

    from harness.stack import sweep

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
                continue
            if connection.laddr.port == number:
                process = psutil.Process(connection.pid)
                return process.pid, process.name(), process.environ().get(sweep.VARIABLE, "")
    except psutil.Error:
        return None
    return None


CHECKS = (
    Check(name="port", look=port),
    Check(name="stacks", look=stacks),
    Check(name="leftovers", look=leftovers),
)
