"""Requests to end that come at a bad moment wait, and are not forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from harness.folders import Folders
from harness.signals import held_back
from harness.tests.helpers import carriers, fake, is_alive, run_folder, start_fakes


def test_a_ctrl_c_waits_until_the_block_is_left() -> None:
    reached: list[str] = []

    def work() -> None:
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("end")
        reached.append("beyond")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_any_request_nothing_is_changed() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with held_back():
        pass
    assert [signal.getsignal(number) for number in numbers] == before


def test_an_error_in_the_block_is_still_told() -> None:
    def work() -> None:
        with held_back():
            os.kill(os.getpid(), signal.SIGINT)
            raise OSError("too many processes")

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert isinstance(caught.value.__context__, OSError)


def test_what_is_ignored_stays_so_for_what_is_started_meanwhile() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_back():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_just_go_on() -> None:
    done: list[bool] = []

    def work() -> None:
        with held_back():
            done.append(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_while_the_supervisor_is_being_made_ends_it(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    made: list[int] = []

    class Interrupted(subprocess.Popen[bytes]):
        """Python is interrupted before anybody has the process in hand."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self.pid)
            os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    monkeypatch.setattr("harness.stack.start.subprocess.Popen", Interrupted)
    try:
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
            start_fakes(folders, fake("app"))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(made) == 1
    # At once: who is told that everything has ended may rely on it.
    assert not is_alive(made[0])
    assert not carriers(run_folder(folders).name)
