"""Beginning a call at once, and going on in a task only where it has to wait: Python 3.12's eager tasks, on 3.11."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


def begin(call: Awaitable[None]) -> Awaitable[None] | None:
    """Run a call until it ends or has to wait. Until then it must not ask which task it runs in.

    Returns:
        What is left of it, to be awaited in a task; None if it has ended.

    Raises:
        Exception: whatever the call raises before it waits.
    """
    if not isinstance(call, Coroutine):
        return call
    try:
        waits_for = call.send(None)
    except StopIteration:
        return None
    return _Rest(call, waits_for)


class _Rest:
    """A call that was begun and waits for something, which the task that awaits this waits for in its place."""

    __slots__ = ("_call", "_waits_for")

    def __init__(self, call: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._call = call
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            while True:
                try:
                    answer = yield self._waits_for
                except BaseException as error:
                    self._waits_for = self._call.throw(error)
                else:
                    self._waits_for = self._call.send(answer)
        except StopIteration:
            return
