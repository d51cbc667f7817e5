"""The processes of the backend as those who work on its code want them: started anew by every change."""

from __future__ import annotations

import shlex
import sys

CODE = "stack"
"""The folder whose changes count, relative to the checkout."""

# What uvicorn is told. Whoever has just saved a file waits for the new process, not for the end of old requests.
RELOADING = ("--reload", "--reload-dir", CODE, "--timeout-graceful-shutdown", "1")


def restarting(command: tuple[str, ...]) -> tuple[str, ...]:
    """A command that runs ``command``, and runs it again after every change of Python code."""
    options = ("--filter", "python", "--target-type", "command")
    return (sys.executable, "-u", "-m", "watchfiles", *options, shlex.join(command), CODE)
