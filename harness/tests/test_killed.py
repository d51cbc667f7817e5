"""Whatever is killed or interrupted, nothing of the run stays."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from harness.folders import CHECKOUT, Folders
from harness.services.account import throwaway_places
from harness.stack import sweep
from harness.tests.helpers import (
    FOREVER,
    GONE_WITHIN,
    NOTIFIES,
    STUBBORN,
    carriers,
    eventually,
    fake,
    is_alive,
    start_fakes,
)

# A harness of its own: starts real throwaway servers and fakes, tells the run's id, waits.
HARNESS = """
import json, sys, time
from pathlib import Path
from harness.folders import CHECKOUT, Folders
from harness.resources import Resource
from harness.stack import StackOptions, start_stack
place, services, extra = Path(sys.argv[1]), sys.argv[2] == "services", json.loads(sys.argv[3])
folders = Folders(CHECKOUT, place / "runs", place / "data", CHECKOUT / ".cache")
wanted = frozenset({"postgres", "redis"}) if services else frozenset()
options = StackOptions(services="embedded", resources=wanted, extra=tuple(map(Resource.from_json, extra)))
with start_stack(options, folders=folders) as stack:
    print(json.dumps({"run": stack.run_id, "supervisor": stack.snapshot().supervisor}), flush=True)
    time.sleep(600)
"""

Spawn = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.stack


@pytest.fixture
def spawn(folders: Folders) -> Iterator[Spawn]:
    """Start a harness as a process of its own; what is left at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*, services: bool, programs: dict[str, str]) -> subprocess.Popen[str]:
        extra = [fake(name, program).to_json() for name, program in programs.items()]
        arguments = (str(folders.runs.parent), "services" if services else "none", json.dumps(extra))
        process = subprocess.Popen(
            [sys.executable, "-c", HARNESS, *arguments],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != sweep.VARIABLE},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def told_by(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stdout is not None
    record = json.loads(process.stdout.readline())
    return record["run"], record["supervisor"]


def nothing_left(run: str) -> bool:
    return not carriers(run) and not sweep.leftovers(run, throwaway_places(CHECKOUT))


def test_kill_of_the_harness_ends_everything(spawn: Spawn) -> None:
    process = spawn(services=True, programs={"polite": NOTIFIES, "stubborn": STUBBORN})
    run, _ = told_by(process)
    servers = [pid for pid in carriers(run) if psutil.Process(pid).name() == "postgres"]
    backends = [child.pid for pid in servers for child in psutil.Process(pid).children(recursive=True)]
    assert backends
    process.kill()
    eventually(lambda: nothing_left(run), within=GONE_WITHIN, what="nothing of the run is left")
    assert not any(map(is_alive, backends))


def test_kill_of_the_supervisor_ends_everything(spawn: Spawn) -> None:
    process = spawn(services=True, programs={"polite": NOTIFIES, "stubborn": STUBBORN})
    run, supervisor = told_by(process)
    backends = [child.pid for child in psutil.Process(supervisor).children(recursive=True)]
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: nothing_left(run), within=GONE_WITHIN, what="nothing of the run is left")
    assert not any(map(is_alive, backends))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("reached", ["", "supervisor.lock", "state.json", "logs/app.log"])
def test_an_end_at_any_moment_of_the_start_leaves_nothing(
    spawn: Spawn, folders: Folders, end: signal.Signals, reached: str
) -> None:
    # The fake never becomes ready, so that the start is caught wherever it is.
    process = spawn(services=True, programs={"app": FOREVER})
    if reached:
        eventually(lambda: list(folders.runs.glob(f"*/{reached}")), within=30, what=f"{reached} exists")
    process.send_signal(end)
    begun = time.monotonic()
    process.communicate(timeout=30)
    runs = [path.name for path in folders.runs.glob("*-*")] if folders.runs.exists() else []
    for run in runs:
        within = max(0.5, GONE_WITHIN - (time.monotonic() - begun))
        eventually(partial(nothing_left, run), within=within, what="nothing of the run is left")


def test_a_stack_that_was_detached_outlives_its_harness_and_nothing_else_ends_it(folders: Folders) -> None:
    stack = start_fakes(folders, fake("app"))
    run = stack.run_id
    stack.detach()
    stack.close()
    assert stack.resource("app").state == "ready"
    # A later start sweeps what is dead, and this is not.
    with start_fakes(folders, fake("other")):
        assert stack.resource("app").state == "ready"
    stack.shutdown()
    assert nothing_left(run)


def test_what_a_killed_run_left_is_swept_at_the_next_start(folders: Folders, tmp_path: Path) -> None:
    stack = start_fakes(folders, fake("app"))
    run = stack.run_id
    family = psutil.Process(stack.snapshot().supervisor)
    # Everybody who could clean up is killed at once: the watchdog first, then the supervisor.
    orphan = stack.resource("app").pid
    assert orphan is not None
    (watchdog,) = (child for child in family.children() if child.pid != orphan)
    watchdog.kill()
    family.kill()
    data = Path("/tmp") / f"tims-stack-{run}-data"
    data.mkdir()
    assert is_alive(orphan)
    stack.close()
    with start_fakes(folders, fake("app")):
        assert nothing_left(run)
        assert not is_alive(orphan)
        assert not data.exists()


def test_runs_of_others_and_folders_of_others_are_left_alone(folders: Folders, tmp_path: Path) -> None:
    environment = {**os.environ, sweep.VARIABLE: "20200101-000000-ffffff"}
    with subprocess.Popen([sys.executable, "-c", FOREVER], env=environment) as other:
        try:
            eventually(lambda: carriers("20200101-000000-ffffff"), within=10, what="the other runs")
            with start_fakes(folders, fake("app")):
                assert other.poll() is None
        finally:
            other.kill()


def test_a_process_that_left_its_group_is_found_by_the_run(folders: Folders) -> None:
    escaping = f"import os\nif os.fork() == 0:\n    os.setsid()\n    {FOREVER}\n{NOTIFIES}"
    with start_fakes(folders, fake("app", escaping)) as stack:
        run = stack.run_id
    assert nothing_left(run)


def test_starts_at_once_do_not_sweep_each_other(folders: Folders) -> None:
    def start(_: int) -> bool:
        with start_fakes(folders, fake("app")) as stack:
            return stack.resource("app").state == "ready"

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [True] * 4


def test_only_the_newest_run_folders_are_kept(folders: Folders) -> None:
    for number in range(40):
        (folders.runs / f"20200101-0000{number:02}-aaaaaa").mkdir(parents=True)
    sweep.sweep(folders.runs, ())
    kept = sorted(path.name for path in folders.runs.iterdir())
    assert kept == [f"20200101-0000{number:02}-aaaaaa" for number in range(10, 40)]
    shutil.rmtree(folders.runs)
    assert sweep.sweep(folders.runs, ()) == []
