"""What happened in a play, in the measure that people can take in: thinned moments, pictures in order."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.play.moments import Moment

MOMENTS_PER_PAGE = 8000
MOMENTS_PER_PLAY = 500
FEWEST_MOMENTS = 100
PICTURE_BYTES = 24 * 1024 * 1024
"""Of all pictures of a page together, before they are encoded."""
# What is left out first where there is too much of everything. Faults and failures come last.
_LEAST_FIRST = ("frame", "request", "console", "sees", "does", "screenshot", "fault")
_BEGINNINGS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


@dataclass(frozen=True, kw_only=True)
class Thinned:
    """The moments that are shown, in their order, and how many of each kind are not."""

    shown: tuple[Moment, ...]
    left_out: dict[str, int]


def room_for_moments(plays: int) -> int:
    """How many moments of each of so many plays a page has room for."""
    return min(MOMENTS_PER_PLAY, max(FEWEST_MOMENTS, MOMENTS_PER_PAGE // max(1, plays)))


def thin(moments: Sequence[Moment], room: int) -> Thinned:
    """At most `room` moments: of the least telling kinds every so-many-th stays, until the rest fits."""
    kept = sorted(moments, key=lambda moment: moment.at)
    for kind, failed in [(kind, failed) for failed in (False, True) for kind in _LEAST_FIRST]:
        surplus = len(kept) - room
        if surplus <= 0:
            break
        of_kind = [number for number, one in enumerate(kept) if (one.kind, one.failed) == (kind, failed)]
        dropped = set(_spread(of_kind, surplus))
        kept = [one for number, one in enumerate(kept) if number not in dropped]
    before, after = Counter(one.kind for one in moments), Counter(one.kind for one in kept)
    return Thinned(
        shown=tuple(kept), left_out={kind: count for kind in before if (count := before[kind] - after[kind])}
    )


class Pictures:
    """Turns screenshot files into data URIs until their bytes are used up."""

    def __init__(self, room: int) -> None:
        """`room`: the bytes of all of them together."""
        self._room = room

    def uri(self, path: Path) -> str | None:
        """The picture as a data URI; None if it is none, lies outside reach or is too much for the page."""
        try:
            # Anything else than a plain file could be endless.
            if not path.is_file() or path.stat().st_size > self._room:
                return None
            content = path.read_bytes()
        except OSError:
            return None
        kind = next((kind for beginning, kind in _BEGINNINGS.items() if content.startswith(beginning)), None)
        if kind is None:
            return None
        self._room -= len(content)
        return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def inside(folder: Path, file: str) -> Path | None:
    """The file of a moment; None if its name leads out of the folder of evidence."""
    path = (folder / file).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """`count` of `numbers`, evenly spread; all if there are no more."""
    if count >= len(numbers):
        return list(numbers)
    return [numbers[index * len(numbers) // count] for index in range(count)]
