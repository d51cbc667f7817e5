"""Locks on files that end with the last process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE = 0.01


def take(path: Path, *, wait: bool = False) -> int | None:
    """Lock ``path``: a descriptor that holds it until every copy of that is closed, or None if it is held."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if wait:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return descriptor
        while not _locked(descriptor, fcntl.LOCK_EX):
            # Those who only look hold a shared lock for a moment: they are in the way, but are no holders.
            if not _locked(descriptor, fcntl.LOCK_SH):
                os.close(descriptor)
                return None
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            time.sleep(_PAUSE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def share(path: Path) -> int:
    """Hold the lock ``path`` together with others: as long as one of them does, nobody can take it.

    Returns a descriptor that holds it until every copy of that is closed.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def take_unused(path: Path) -> int | None:
    """Lock ``path`` if nobody holds or shares it at this moment, else None; never waits."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if _locked(descriptor, fcntl.LOCK_EX):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock ``path`` now; looking takes it from nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold the lock ``path``, waiting for it as long as it takes."""
    descriptor = take(path, wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def wait_until_free(descriptor: int, *, within: float) -> bool:
    """Wait until nobody holds the lock on the open file ``descriptor``; False after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not _locked(descriptor, fcntl.LOCK_SH):
        if time.monotonic() > deadline:
            return False
        # Waiting inside flock itself would have no deadline.
        time.sleep(_PAUSE)
    return True


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
