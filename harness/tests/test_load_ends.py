"""However a load test ends, nothing of its run stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Load:
    """A load test under way, in a folder of its own."""

    process: subprocess.Popen[bytes]
    output: Path

    def run(self) -> str:
        """The id of its run, once it is told."""
        told = self.output.read_text(encoding="utf-8").partition("\n")
        return told[0].removeprefix("run ").partition(":")[0] if told[1] else ""

    def locusts(self) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            # Others come and go meanwhile.
            with suppress(psutil.Error):
                if "locust" in child.cmdline():
                    found.append(child)
        return found


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    command = [sys.executable, "-m", "loadtests", "--users", "1", "--run-time", "5m", "--services", "embedded"]
    environment = {name: value for name, value in os.environ.items() if name != sweep.VARIABLE}
    environment["HARNESS_RUNS"] = str(tmp_path / "runs")
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=file, stderr=file)
    yield Load(process, output)
    process.kill()
    process.wait()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_the_run_stays(load: Load, end: signal.Signals) -> None:
    eventually(load.locusts, within=STARTED_WITHIN, what="locust plays")
    run = load.run()
    assert len(carriers(run)) > len(load.locusts())
    (locust,) = load.locusts()
    load.process.send_signal(end)
    try:
        eventually(lambda: not is_alive(locust.pid), within=GONE_WITHIN, what="locust has ended")
    finally:
        with suppress(psutil.NoSuchProcess):
            locust.kill()
    # In order, servers take a moment longer than being killed.
    within = GONE_WITHIN if end is signal.SIGKILL else 4 * GONE_WITHIN
    eventually(
        lambda: not carriers(run) and not sweep.leftovers(run, throwaway_places(CHECKOUT)),
        within=within,
        what="nothing of the run is left",
    )
    if end is not signal.SIGKILL:
        assert load.process.wait(GONE_WITHIN) == 128 + end
        assert "Traceback" not in load.output.read_text(encoding="utf-8")
