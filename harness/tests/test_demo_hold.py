"""The demo in a terminal: it stays up for the audience and ends with Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from harness.tests.helpers import GONE_WITHIN, carriers, eventually, read_until

CTRL_C = b"\x03"


@pytest.mark.stack
def test_a_demo_stays_up_until_ctrl_c(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with contextlib.closing(os.fdopen(ours, "wb", buffering=0)):
        demo = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "harness",
                "demo",
                "admin_edit_reaches_clients",
                "--no-eyes",
                "--pace",
                "0",
                "--services",
                "embedded",
            ],
            env={**os.environ, "HARNESS_RUNS": str(tmp_path / "runs"), "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            # A terminal of its own, whose Ctrl-C is meant for nobody else.
            preexec_fn=lambda: os.login_tty(theirs),  # noqa: PLW1509 - before any thread of the child
        )
        os.close(theirs)
        try:
            shown = read_until(ours, "End it with Ctrl-C.", within=100)
            (run,) = (path.name for path in (tmp_path / "runs").iterdir() if path.is_dir())
            assert "look for yourself" in shown
            assert f"harness status --run {run}" in shown
            looked = subprocess.run(
                [sys.executable, "-m", "harness", "status", "--json"],
                env={**os.environ, "HARNESS_RUNS": str(tmp_path / "runs")},
                capture_output=True,
                check=True,
            )
            assert json.loads(looked.stdout)["run"] == run
            assert demo.poll() is None
            assert carriers(run)
            os.write(ours, CTRL_C)
            read_until(ours, "(the terminal is closed)", within=40)
            assert demo.wait(10) == 0
        finally:
            demo.kill()
            demo.wait()
        eventually(lambda: not carriers(run), within=GONE_WITHIN, what="everything of the demo has ended")
