"""The demo that goes on with Enter."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from harness.play.observers import Step
from harness.play.presenter import Presenter
from harness.tests.helpers import GONE_WITHIN, carriers, eventually, read_until

ENTER, CTRL_C, CTRL_D = b"\n", b"\x03", b"\x04"
QUESTION = "Enter to go on"
ASKS = """
from rich.console import Console
from harness.cli.play import _enter
try:
    _enter(Console())
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
print("the end")
"""


@contextlib.contextmanager
def in_a_terminal(
    arguments: Sequence[str], *, typed: bytes = b"", **environment: str
) -> Generator[tuple[subprocess.Popen[bytes], int]]:
    """A program of Python in a terminal of its own, in which something is typed already; gives both."""
    ours, theirs = pty.openpty()
    os.write(ours, typed)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "TERM": "xterm", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: os.login_tty(theirs),  # noqa: PLW1509 - before any thread of the child
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize(
    ("key", "outcome"), [(ENTER, "went on"), (CTRL_C, "interrupted"), (CTRL_D, "interrupted")], ids=["enter", "c", "d"]
)
def test_a_key_answers_the_question(key: bytes, outcome: str) -> None:
    with in_a_terminal(["-c", ASKS]) as (_, terminal):
        read_until(terminal, QUESTION, within=30)
        os.write(terminal, key)
        assert outcome in read_until(terminal, "the end", within=10)


def test_what_was_typed_before_answers_nothing() -> None:
    with in_a_terminal(["-c", ASKS], typed=ENTER) as (_, terminal):
        read_until(terminal, QUESTION, within=30)
        os.write(terminal, CTRL_D)
        shown = read_until(terminal, "the end", within=10)
    assert "interrupted" in shown
    assert "went on" not in shown


def test_without_a_terminal_the_demo_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "demo", "--step"],
        env={**os.environ, "HARNESS_RUNS": str(tmp_path / "runs")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "--step waits for Enter, so it needs a terminal: leave it out here.\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_each_step_waits_after_its_cue_and_before_it_begins(terminal: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=60, soft_wrap=True, highlight=False)
    heard: list[str] = []

    def wait() -> None:
        heard.append(shown.getvalue())
        shown.truncate(0)

    presenter = Presenter(console, pace=60.0, wait=wait)
    cue = "Something long that is said before it happens, with [brackets] in it, and so on."
    for step in (Step(title="Look", cue=cue, budget=None), Step(title="Listen", cue=None, budget=None)):
        presenter.step(step)
        presenter.step(Step(title=step.title, cue=step.cue, budget=None, seconds=1.0))
    first, second = heard
    assert "[brackets]" in first
    assert "Look" in first
    assert "✔" not in first
    assert "✔" in second
    assert "Look" in second
    assert "Listen" in second
    if terminal:
        # A cue is wrapped between its borders, however narrow the terminal.
        assert "┏" in first
        assert all(line.count("┃") in (0, 2) for line in first.splitlines())


@pytest.mark.stack
def test_ctrl_c_at_a_question_ends_everything(tmp_path: Path) -> None:
    arguments = ["-m", "harness", "demo", "job_progress_is_live", "--step", "--services", "embedded"]
    with in_a_terminal(arguments, HARNESS_RUNS=str(tmp_path / "runs")) as (demo, terminal):
        read_until(terminal, QUESTION, within=100)
        os.write(terminal, ENTER)
        read_until(terminal, QUESTION, within=30)
        (run,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
        os.write(terminal, CTRL_C)
        shown = read_until(terminal, "(the terminal is closed)", within=40)
        assert demo.wait(10) == 130
        assert "Traceback" not in shown
        eventually(lambda: not carriers(run.name), within=GONE_WITHIN, what="everything of the demo has ended")
        assert (run / "report.html").is_file()
