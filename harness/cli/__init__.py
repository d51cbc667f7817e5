"""The command ``harness``."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from harness.stack.environment import drop_libpq

INTERRUPTED = 130


def main() -> None:
    """Entry point: expected trouble becomes one sentence, the next step and an exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    drop_libpq(os.environ)
    try:
        # Imported in here, as a Ctrl-C may come while that lasts.
        from harness.cli.group import run

        code = run()
    except KeyboardInterrupt:
        print("Interrupted: everything that was started has ended.", file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)


def _end(number: int, _frame: FrameType | None) -> None:
    # Unwinds like any exit, so that whatever was started is ended on the way.
    sys.exit(128 + number)
