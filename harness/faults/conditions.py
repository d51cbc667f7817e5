"""The faults of a network as records, and what several of them make together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError

_LONGEST = 3600.0
"""Seconds; who means more than an hour has mistaken the unit."""


@dataclass(frozen=True)
class Down:
    """Nobody listens, and whoever was connected is cut off."""


@dataclass(frozen=True)
class Latency:
    """Every piece of data, in each direction, comes ``seconds`` later, give or take up to ``jitter``.

    The order is kept. ``seed`` makes the jitter of the first, second... connection the same every time.
    """

    seconds: float
    jitter: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Bandwidth:
    """Each direction of each connection carries this many bytes a second."""

    bytes_per_second: float


@dataclass(frozen=True)
class Reset:
    """Every connection is reset (RST) ``after`` seconds: those that are open and those that come."""

    after: float = 0.0


@dataclass(frozen=True)
class SlowClose:
    """The end of a connection reaches the other side ``seconds`` late."""

    seconds: float


@dataclass(frozen=True)
class HalfOpen:
    """Whatever is sent is swallowed both ways, ends of connections too; newcomers are accepted and hear nothing.

    When it is over, connections that have lost something are reset, as nothing brings the bytes back. One on
    which nobody said anything has noticed nothing, and goes on.
    """


Fault = Down | Latency | Bandwidth | Reset | SlowClose | HalfOpen

FAULTS: dict[str, type[Fault]] = {
    "down": Down,
    "latency": Latency,
    "bandwidth": Bandwidth,
    "reset": Reset,
    "slow_close": SlowClose,
    "half_open": HalfOpen,
}


def read_fault(kind: object, settings: object) -> Fault:
    """The fault of that name with those settings; raises HarnessError with a sentence if there is no such."""
    made = FAULTS.get(kind) if isinstance(kind, str) else None
    if made is None:
        raise HarnessError(f"The network cannot be {kind!r}.", hint=f"There are: {', '.join(FAULTS)}.")
    if not isinstance(settings, Mapping):
        raise HarnessError(f"The settings of {kind} are no object.")
    fields = {field.name: field for field in dataclasses.fields(made)}
    needed = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
    if unknown := sorted(set(settings) - set(fields)):
        raise HarnessError(f"{kind} has no setting {unknown[0]!r}.", hint=f"It has: {', '.join(fields) or 'none'}.")
    if missing := [name for name in needed if name not in settings]:
        raise HarnessError(f"{kind} needs {missing[0]}.")
    for name, value in settings.items():
        _check(str(kind), name, value)
    found: Fault = made(**settings)
    if isinstance(found, Latency) and found.jitter > found.seconds:
        raise HarnessError(
            f"A jitter of {found.jitter:g} s around {found.seconds:g} s would deliver before it was sent.",
            hint="The jitter may be as long as the latency at most.",
        )
    return found


def _check(kind: str, name: str, value: Any) -> None:
    if name == "seed":
        if not isinstance(value, int) or isinstance(value, bool):
            raise HarnessError(f"{name} of {kind} must be a whole number, not {value!r}.")
        return
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if name == "bytes_per_second":
        if not number or value < 1:
            raise HarnessError(f"{name} of {kind} must be a number of at least 1, not {value!r}.")
    elif not number or not 0 <= value <= _LONGEST:
        raise HarnessError(f"{name} of {kind} must be seconds from 0 to {_LONGEST:g}, not {value!r}.")


@dataclass(frozen=True)
class Conditions:
    """What the faults of one target make together: delays add up, the narrowest bandwidth counts.

    ``rate`` is in bytes a second, ``close_later`` in seconds. ``plain``: data passes as if nothing were in between.
    """

    down: bool = False
    half_open: bool = False
    latencies: tuple[Latency, ...] = ()
    rate: float | None = None
    close_later: float = 0.0
    plain: bool = True

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Conditions:
        """The sum of ``faults``."""
        present = tuple(faults)
        latencies = tuple(fault for fault in present if isinstance(fault, Latency))
        rates = [fault.bytes_per_second for fault in present if isinstance(fault, Bandwidth)]
        return cls(
            down=any(isinstance(fault, Down) for fault in present),
            half_open=any(isinstance(fault, HalfOpen) for fault in present),
            latencies=latencies,
            rate=min(rates, default=None),
            close_later=sum(fault.seconds for fault in present if isinstance(fault, SlowClose)),
            plain=not latencies and not rates,
        )

    @property
    def longest(self) -> float:
        """The longest that a piece of data or an end may be held back for, in seconds, bandwidth aside."""
        return sum(latency.seconds + latency.jitter for latency in self.latencies) + self.close_later
