from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from harness.stack import RunningStack


@contextmanager
def frozen_relays(stack: RunningStack) -> Iterator[None]:
    """Nothing comes through meanwhile: neither from the relay that leads nor from its standby."""
    names = [status.name for status in stack.resources() if status.name.startswith("relay")]
    for name in names:
        stack.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        for name in names:
            stack.kill(name, signal.SIGCONT)
