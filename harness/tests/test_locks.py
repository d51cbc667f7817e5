"""Locks: who looks is in nobody's way."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from harness import locks


def test_a_lock_is_held_until_its_descriptor_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not locks.is_held(path)
    descriptor = locks.take(path)
    assert descriptor is not None
    assert locks.is_held(path)
    assert locks.take(path) is None
    os.close(descriptor)
    assert not locks.is_held(path)


def test_looking_never_keeps_anybody_from_taking(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            locks.is_held(path)

    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(50):
            descriptor = locks.take(path)
            assert descriptor is not None
            os.close(descriptor)
    finally:
        done.set()
        for watcher in watchers:
            watcher.join()


def test_what_is_shared_can_not_be_taken_until_the_last_has_let_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    sharers = [locks.share(path) for _ in range(2)]
    for sharer in sharers:
        assert locks.take_unused(path) is None
        os.close(sharer)
    taken = locks.take_unused(path)
    assert taken is not None
    assert locks.take_unused(path) is None
    os.close(taken)


def test_several_may_wait_for_the_end_of_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = locks.take(path)
    assert holder is not None
    waiting = [os.open(path, os.O_RDONLY) for _ in range(2)]
    assert not locks.wait_until_free(waiting[0], within=0.05)
    os.close(holder)
    assert all(locks.wait_until_free(one, within=5) for one in waiting)
    for one in waiting:
        os.close(one)
