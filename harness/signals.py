"""Requests to end that come at a bad moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _raise_again(numbers: list[int]) -> None:
    for number in numbers:
        signal.raise_signal(number)


@contextmanager
def held_back() -> Iterator[None]:
    """Let requests to end (Ctrl-C, SIGTERM, SIGHUP) wait until the block is left, for steps that must be whole.

    They are raised again right after it. Elsewhere than in the main thread nothing is interrupted anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    # What is ignored or not Python's to handle stays so, as processes started meanwhile inherit that.
    before = {number: found for number in _ENDS if callable(found := signal.getsignal(number))}
    # Unwinds to the end also if one that comes again interrupts it.
    with ExitStack() as after:
        after.callback(_raise_again, came)
        for number, handler in before.items():
            after.callback(signal.signal, number, handler)
        for number in before:
            signal.signal(number, remember)
        yield
