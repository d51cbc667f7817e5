"""Running the front end's tools: quietly, with a log, and without leaving anything behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from harness import locks
from harness.errors import BuildFailed, DiskFull
from harness.signals import held_back

Listener = Callable[[str], None]
"""Is told sentences for people."""

_TELL_EVERY = 15.0
_GRACE = 3.0
_LINES = 15
_FROM_END = 64 * 1024
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Says nothing about what went wrong: stack frames, npm's word on its own log, the script that was run.
_NOISE = re.compile(r"^(at |npm (error|ERR!) A complete log|npm (error|ERR!)\s*/|npm notice|> )")
_FULL = re.compile(r"ENOSPC|EDQUOT|no space left on device|disk quota exceeded", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT"
    r"|UNABLE_TO_GET_ISSUER_CERT|SELF_SIGNED_CERT|npm error network"
)


@contextmanager
def turn(root: Path, tell: Listener) -> Iterator[int]:
    """Hold the one lock of a checkout's front end, which has one folder of packages and one to build in.

    Yields the lock's descriptor: a tool that outlives a killed harness keeps it, so that the next one waits.
    """
    path = root / ".cache" / "frontend.lock"
    path.parent.mkdir(exist_ok=True)
    lock = locks.take(path)
    if lock is None:
        tell("Another start is preparing the front end; waiting for it...")
        lock = locks.take(path, wait=True)
    assert lock is not None, "waited for it"
    try:
        yield lock
    finally:
        os.close(lock)


def run(
    command: Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    log: Path,
    lock: int,
    failed: str,
    began: float,
    tell: Listener,
) -> None:
    """Run a tool to its end, its output going to the end of ``log``.

    ``failed`` says for people what did not come of it, such as "the front end could not be built"; ``began`` is
    when what it is a part of did (monotonic, in seconds).
    Whatever interrupts this ends the tool and all that it has started. Raises BuildFailed, DiskFull.
    """
    with log.open("ab") as output:
        written = output.tell()
        process: subprocess.Popen[bytes] | None = None
        try:
            # An interruption in the midst of it would lose the process.
            with held_back():
                process = subprocess.Popen(
                    command,
                    cwd=directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # A Ctrl-C in the terminal is for the harness, which then ends the whole group.
                    start_new_session=True,
                    pass_fds=(lock,),
                )
            while not _has_ended(process):
                tell(f"  still at it after {time.monotonic() - began:.0f} s")
        except BaseException:
            if process is not None:
                _end(process)
            raise
    _kill_group(process.pid)
    if process.returncode:
        raise trouble(meaningful_lines(log, since=written), log=log, failed=failed)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_TELL_EVERY)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _kill_group(process.pid)
        process.wait()


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def trouble(lines: tuple[str, ...], *, log: Path, failed: str) -> BuildFailed | DiskFull:
    """The error for what went wrong, going by what was said of it."""
    text = "\n".join(lines)
    more = f"All that was said stands in {log}"
    if _FULL.search(text):
        return DiskFull(f"The disk is full, so {failed}.", hint=f"Free 1 GB and try again. {more}")
    if _UNREACHABLE.search(text):
        return BuildFailed(
            f"The package registry could not be reached, so {failed}.",
            hint=f"Check the network or npm's proxy settings, then try again. {more}",
        )
    return BuildFailed(f"{failed[0].upper()}{failed[1:]}.", hint=more, lines=lines[-_LINES:])


def meaningful_lines(log: Path, *, since: int) -> tuple[str, ...]:
    """The last lines of ``log`` from byte ``since`` on that say something, without colours."""
    with log.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(since, size - _FROM_END))
        text = stream.read().decode("utf-8", "replace")
    lines = (_COLOURS.sub("", line).rstrip() for line in text.splitlines())
    return tuple(line for line in lines if line.strip() and not _NOISE.match(line.strip()))
