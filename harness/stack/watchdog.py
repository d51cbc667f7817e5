"""``python -m harness.stack.watchdog``: outlives a supervisor that was killed, and ends its run.

Standard input is a pipe that the supervisor holds. A line on it means that all is well and the supervisor
ends by itself; its end without one means that the supervisor is gone.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from harness.stack import sweep


def main(arguments: list[str]) -> None:
    """Wait for the supervisor's end; ``arguments``: the run's id, then folders to look for its data in."""
    run, *places = arguments
    # The supervisor's own end is what counts; a Ctrl-C meant for the harness is not ours to obey.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not os.read(sys.stdin.fileno(), 16):
        sweep.end_run(run, spare=frozenset({os.getpid()}))
        sweep.remove_leftovers(run, map(Path, places))


if __name__ == "__main__":
    main(sys.argv[1:])
