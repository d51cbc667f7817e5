"""What went through a proxy and what became of it, in numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Counters:
    """What happened at one target.

    ``connections`` were accepted; ``refused`` of them found nobody behind the proxy (those that ``down`` turns
    away never get as far as the proxy, and are in no counter); ``cut`` were ended by a fault. ``delayed`` counts
    the pieces of data and the closes that were held back, ``dropped_bytes`` what was swallowed and
    ``passed_bytes`` what was handed on, both directions together.
    """

    connections: int = 0
    refused: int = 0
    cut: int = 0
    delayed: int = 0
    dropped_bytes: int = 0
    passed_bytes: int = 0

    def since(self, before: Counters) -> Counters:
        """The difference between now and ``before``."""
        return Counters(
            **{
                field.name: getattr(self, field.name) - getattr(before, field.name)
                for field in dataclasses.fields(Counters)
            }
        )


@dataclass(slots=True)
class Tally:
    """The counters while they count."""

    connections: int = 0
    refused: int = 0
    cut: int = 0
    delayed: int = 0
    dropped_bytes: int = 0
    passed_bytes: int = 0

    def now(self) -> Counters:
        """The counters at this moment."""
        return Counters(**dataclasses.asdict(self))
