"""``harness status --watch``: what it tells of a stack, how it ends, what it keeps to itself."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli.board import board, line
from harness.cli.pulse import Pulse, Rate, Waiting
from harness.folders import Folders
from harness.play.stage import Stage
from harness.stack import RunningStack
from harness.tests.helpers import NOTIFIES, eventually, fake, read_until, start_fakes

PASSWORD = "pw-of-the-database"
TALKS = f'print("long " * 60, flush=True)\n{NOTIFIES}'


@pytest.fixture
def fakes(folders: Folders) -> Iterator[RunningStack]:
    with start_fakes(folders, fake("talker", TALKS), fake("silent")) as stack:
        users = [{"name": "ada", "password": "word-of-ada", "role": "admin"}]
        (stack.folder / "users.json").write_text(json.dumps(users), encoding="utf-8")
        yield stack


@contextmanager
def watching(
    folders: Folders, *arguments: str, terminal: int | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command on a pipe, or on a terminal."""
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "status", "--watch", *arguments],
        env={**os.environ, "HARNESS_RUNS": str(folders.runs), "TERM": "xterm", **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if terminal is None else terminal,
        stderr=subprocess.PIPE if terminal is None else terminal,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return str(process.stdout.readline())


def test_without_a_terminal_a_line_comes_each_second(folders: Folders, fakes: RunningStack) -> None:
    with watching(folders) as process:
        first = next_line(process)
        began = time.monotonic()
        second = next_line(process)
        assert time.monotonic() - began < 3
        assert first[:8] != second[:8]
        assert first[8:] == "  2/2 well  ? events/s  ? sockets  relay lag ? s\n"
        fakes.kill("silent")
        while "1/2 well" not in (told := next_line(process)):
            assert told
        assert told.endswith("silent exited (-9)\n")


def test_as_json_it_is_a_record_a_second_without_passwords(folders: Folders, fakes: RunningStack) -> None:
    with watching(folders, "--json", "--run", fakes.run_id) as process:
        told = json.loads(next_line(process))
        again = json.loads(next_line(process))
    assert told["at"] < again["at"]
    assert (told["run"], told["phase"]) == (fakes.run_id, "ready")
    assert {"events_per_second", "sockets", "relay_lag"} <= set(told)
    talker, _ = told["resources"]
    assert (talker["name"], talker["state"], talker["pid"]) == ("talker", "ready", fakes.resource("talker").pid)
    assert 0 <= talker["uptime"] <= again["resources"][0]["uptime"] < 300
    assert talker["seconds"] > 0
    assert talker["line"] == "hello from the fake"
    assert "users" not in told
    with watching(folders, "--json", "--sign-ins") as process:
        assert json.loads(next_line(process))["users"][0]["password"] == "word-of-ada"


def test_passwords_in_log_lines_are_masked(fakes: RunningStack) -> None:
    log = Path(fakes.resource("talker").log)
    with Pulse(fakes) as pulse:
        for said, told in (
            ("ada came with word-of-ada\n\n", "ada came with •••"),
            (f"at postgres://stack:{PASSWORD}@db/x\n", "at postgres://stack:•••@db/x"),
            ("\x1b[31mred\x1b[0m \x07bell\n", "red \ufffdbell"),
        ):
            with log.open("a", encoding="utf-8") as file:
                file.write(said)
            assert pulse.beat().rows[0].line == told


@pytest.mark.parametrize("columns", [60, 100])
def test_on_a_terminal_nothing_is_wider_than_it(folders: Folders, fakes: RunningStack, columns: int) -> None:
    shown = StringIO()
    with Pulse(fakes) as pulse:
        for sign_ins in (False, True):
            console = Console(file=shown, width=columns, force_terminal=True, color_system=None, highlight=False)
            console.print(board(pulse.beat(), fakes, width=columns, sign_ins=sign_ins))
    told = shown.getvalue()
    assert all(len(one) <= columns for one in told.splitlines())
    assert "talker  ready" in told
    assert "up " in told
    assert "  hello from the fake" in told


def test_on_a_terminal_it_is_redrawn_and_ctrl_c_ends_it(folders: Folders, fakes: RunningStack) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    with watching(folders, terminal=theirs) as process:
        os.close(theirs)
        read_until(ours, "silent", within=30)
        fakes.kill("silent")
        read_until(ours, "exited (-9)", within=10)
        process.send_signal(signal.SIGINT)
        # The last thing it does is to show the cursor again.
        rest = read_until(ours, "\x1b[?25h", within=10)
        assert "Traceback" not in rest
        assert process.wait(10) == 130
    os.close(ours)
    assert fakes.resource("talker").state == "ready"


def test_ctrl_c_ends_it_on_a_pipe(folders: Folders, fakes: RunningStack) -> None:
    with watching(folders) as process:
        next_line(process)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in complaint


def test_it_ends_with_the_stack_and_says_so(folders: Folders, fakes: RunningStack) -> None:
    with watching(folders) as process:
        next_line(process)
        fakes.shutdown(reason="enough for today")
        rest, complaint = process.communicate(timeout=10)
    assert process.returncode == 0, complaint
    assert rest.endswith("The stack has ended: enough for today.\n")


def test_it_says_when_the_supervisor_was_killed(folders: Folders, fakes: RunningStack) -> None:
    with watching(folders) as process:
        next_line(process)
        os.kill(fakes.snapshot().supervisor, signal.SIGKILL)
        _, complaint = process.communicate(timeout=10)
    assert process.returncode == 9
    assert complaint.startswith("The supervisor of this run was killed")


@pytest.mark.parametrize(("arguments", "code"), [(["--sign-ins"], 2), (["--watch"], 3), (["--watch", "--run", "x"], 3)])
def test_bad_use_is_explained(folders: Folders, arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "status", *arguments],
        env={**os.environ, "HARNESS_RUNS": str(folders.runs)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


# The figures


def test_a_change_that_stays_has_waited_since_it_was_first_seen() -> None:
    waiting = Waiting()
    waiting.note(10.0, "e", 5, 5)
    assert waiting.seconds(10.5) == 0.5
    waiting.note(11.0, "e", 5, 9)
    assert waiting.seconds(12.0) == 2.0


def test_what_stands_in_a_backlog_has_waited_since_it_was_among_the_newest() -> None:
    waiting = Waiting()
    waiting.note(10.0, "e", 5, 90)
    waiting.note(11.0, "e", 40, 200)
    # The relay works, but what is the oldest now was there a second ago as well.
    assert waiting.seconds(11.0) == 1.0
    waiting.note(12.0, "e", 150, 300)
    assert waiting.seconds(12.0) == 1.0
    waiting.note(13.0, "e", None, None)
    assert waiting.seconds(14.0) == 0.0


def test_changes_of_another_life_of_the_log_are_others() -> None:
    waiting = Waiting()
    waiting.note(10.0, "e", 500, 900)
    waiting.note(20.0, "f", 3, 4)
    assert waiting.seconds(20.5) == 0.5


def test_events_are_counted_over_the_last_seconds() -> None:
    rate = Rate(over=3.0)
    assert rate.per_second() is None
    for second in range(10):
        rate.note(float(second), "e", 100 if second < 5 else 100 + 8 * (second - 4))
    assert rate.per_second() == 8.0
    # Another hub is a little behind.
    rate.note(10.0, "e", 120)
    assert rate.per_second() is not None
    rate.note(11.0, "f", 2)
    assert rate.per_second() is None


def test_a_stack_tells_its_health_events_sockets_and_lag(stack: RunningStack, stage: Stage) -> None:
    alice, bob = stage.actor("alice"), stage.actor("bob")
    for actor in (alice, bob):
        actor.opens("/chats")
    relays = [status.name for status in stack.resources() if status.name.startswith("relay")]
    with Pulse(stack) as pulse:
        eventually(lambda: pulse.beat().events_per_second is not None, within=20, what="it was asked twice")
        chat = alice.starts_chat(stage.unique("Lunch"), with_=[bob])
        eventually(lambda: (pulse.beat().events_per_second or 0) > 0, within=20, what="events were counted")
        beat = pulse.beat()
        health = {row.status.name: row.health for row in beat.rows if row.health is not None}
        assert set(health) == {"backend-1", "backend-2"}
        assert all(one.ready and one.checks["database"] == "ok" for one in health.values())
        assert (beat.sockets or 0) >= 2
        assert " events/s  " in line(beat)
        for name in relays:
            stack.kill(name, signal.SIGSTOP)
        try:
            alice.sends("nobody passes this on yet", to=chat)
            eventually(lambda: (pulse.beat().lag or 0) > 1.5, within=20, what="the lag was seen to grow")
        finally:
            for name in relays:
                stack.kill(name, signal.SIGCONT)
        eventually(lambda: pulse.beat().lag == 0, within=20, what="the lag was gone")
        stack.kill("backend-2", signal.SIGSTOP)
        try:
            eventually(
                lambda: "backend-2 does not answer" in line(pulse.beat()), within=20, what="a frozen one is told"
            )
            assert pulse.beat().sockets is not None
        finally:
            stack.kill("backend-2", signal.SIGCONT)
        eventually(lambda: "backend-2" not in line(pulse.beat()), within=20, what="it answers again")
