"""However a load test ends, nothing of its run stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from harness.folders import CHECKOUT
from harness.services.account import throwaway_places
from harness.stack import sweep
from harness.tests.helpers import carriers, eventually, is_alive

pytestmark = pytest.mark.stack
STARTED_WITHIN = 90.0
GONE_WITHIN = 5.0


@pytest.fixture
def load(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A load test under way, in a folder of its own."""
    command = [sys.executable, "-m", "loadtests", "--users", "1", "--run-time", "5m", "--services", "embedded"]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env={name: value for name, value in os.environ.items() if name != sweep.VARIABLE}
        | {"HARNESS_RUNS": str(tmp_path / "runs")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def locusts(process: subprocess.Popen[str]) -> list[int]:
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        # Others come and go meanwhile.
        with suppress(psutil.Error):
            if "locust" in child.cmdline():
                found.append(child.pid)
    return found


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_of_the_run_stays(load: subprocess.Popen[str], end: signal.Signals) -> None:
    assert load.stdout is not None
    run = load.stdout.readline().removeprefix("run ").partition(":")[0]
    eventually(lambda: locusts(load), within=STARTED_WITHIN, what="locust plays")
    (locust,) = locusts(load)
    load.send_signal(end)
    eventually(lambda: not is_alive(locust), within=GONE_WITHIN, what="locust has ended")
    # In order, servers take a moment longer than being killed.
    within = GONE_WITHIN if end is signal.SIGKILL else 4 * GONE_WITHIN
    eventually(
        lambda: not carriers(run) and not sweep.leftovers(run, throwaway_places(CHECKOUT)),
        within=within,
        what="nothing of the run is left",
    )
    if end is not signal.SIGKILL:
        assert load.wait(GONE_WITHIN) == 128 + end
        assert "Traceback" not in load.stdout.read()
