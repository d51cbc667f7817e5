from __future__ import annotations

import pytest

from stack.live.log import LogEntry
from stack.live.ring import Ring


def entry(seq: int, size: int = 2) -> LogEntry:
    return LogEntry(seq, "chat:1", 0, "x" * size, control=False)


@pytest.mark.parametrize(("most", "most_bytes", "kept"), [(3, 1000, [8, 9, 10]), (100, 50, [9, 10]), (100, 10, [])])
def test_it_holds_so_many_and_so_much(most: int, most_bytes: int, kept: list[int]) -> None:
    ring = Ring(most, most_bytes)
    for seq in range(1, 11):
        ring.append(entry(seq, size=20))
    assert [one.seq for one in ring.after(0)] == kept
    assert ring.floor == (kept[0] - 1 if kept else None)


def test_it_takes_small_ones_again_after_large_ones() -> None:
    ring = Ring(100, 50)
    ring.begin([entry(1, size=50), entry(2, size=50)])
    ring.begin(entry(seq) for seq in range(3, 13))
    assert [one.seq for one in ring.after(10)] == [11, 12]
    assert ring.floor == 2
