"""``python -m harness.stack.watchdog``: outlives the supervisor, and ends its run if that was killed.

Standard input is a pipe that the supervisor holds. A line on it means that all is well and the supervisor
ends by itself; its end without one means that the supervisor is gone. Either way containers of the run go now.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from harness.containers import leftovers
from harness.stack import sweep


def main(arguments: list[str]) -> None:
    """Wait for the supervisor's end; ``arguments``: the run's folder, then folders to look for its data in."""
    folder, *places = map(Path, arguments)
    # The supervisor's own end is what counts; a Ctrl-C meant for the harness is not ours to obey.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not os.read(sys.stdin.fileno(), 16):
        sweep.end_run(folder.name, spare=frozenset({os.getpid()}))
        sweep.remove_leftovers(folder.name, places)
    leftovers.remove_of(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
