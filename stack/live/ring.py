"""The newest events of the log, as many as may be kept in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from stack.live.log import LogEntry

MOST_BYTES = 64 * 1024 * 1024
"""Of the ops of all events that are kept; ordinary ones come to a tenth of it."""


class Ring:
    """Events without a gap; the oldest go first.

    Args:
        most: how many.
        most_bytes: of their ops.
    """

    def __init__(self, most: int, most_bytes: int = MOST_BYTES) -> None:
        self.most = most
        self._most_bytes = most_bytes
        self._entries: deque[LogEntry] = deque()
        self._bytes = 0

    def begin(self, entries: Iterable[LogEntry]) -> None:
        """Keep these and nothing of what came before."""
        self._entries.clear()
        self._bytes = 0
        for entry in entries:
            self.append(entry)

    def append(self, entry: LogEntry) -> None:
        self._entries.append(entry)
        self._bytes += len(entry.ops)
        while len(self._entries) > self.most or self._bytes > self._most_bytes:
            self._bytes -= len(self._entries.popleft().ops)

    @property
    def floor(self) -> int | None:
        """Every event after this seq is here; None where there is none."""
        return self._entries[0].seq - 1 if self._entries else None

    def after(self, seq: int) -> Iterator[LogEntry]:
        """The events after a seq that is no lower than the floor."""
        floor = self.floor
        return iter(()) if floor is None else islice(self._entries, max(0, seq - floor), None)
