"""What was measured, and what comes of it."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from benchmarks.bars import Limit
from benchmarks.live.inserts import WITH, WITHOUT, Inserts
from benchmarks.live.tally import Counts

HUB, REST, SQL = "this engine, no database", "this engine, REST", "this engine, SQL"
STOCK, BARE, SOCKETIO = "stock Channels consumer", "bare ASGI application", "socket.io"
SUBJECTS = (HUB, REST, SQL, STOCK, BARE, SOCKETIO)
ENGINE = "this engine"
"""As a server, where it makes no difference who publishes."""
SERVERS = (ENGINE, STOCK, BARE, SOCKETIO)
OFTEN = 5.0
"""Changes a second."""

RATIOS = (
    Limit(ratio="last_vs_stock", about="last delivery / stock consumer's", goal=0.1, gate=0.2, more=False),
    Limit(ratio="last_vs_bare", about="last delivery / bare application's", goal=1.25, gate=1.6, more=False),
    Limit(ratio="last_vs_socketio", about="last delivery / socket.io's", goal=1.25, gate=1.7, more=False),
    Limit(ratio="p95_vs_stock", about="p95 / stock consumer's, at half of what it can", goal=0.1, gate=0.2, more=False),
    Limit(ratio="commit_p95_vs_hub", about="p95 from commit / without database", goal=1.5, gate=2, more=False),
    Limit(ratio="bulk_insert_time", about="bulk insert with triggers / without, time", goal=2, gate=3.5, more=False),
    Limit(ratio="single_insert_rate", about="inserts with triggers / without, rate", goal=0.85, gate=0.6, more=True),
)
MEMORY = Limit(ratio="kib_per_socket", about="KiB of memory per idle signed-in socket", goal=25, gate=30, more=False)
COUNTS = tuple(
    Limit(ratio=name, about=f"changes {name.replace('_', ' ')}", goal=0, gate=0, more=False)
    for name in ("lost", "duplicate", "out_of_order")
)


@dataclass(frozen=True, kw_only=True)
class Last:
    """How long changes, one after the other, took to be at the last of so many sockets; in milliseconds."""

    subject: str
    sockets: int
    ms: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.ms)


@dataclass(frozen=True, kw_only=True)
class Paced:
    """How long changes at a fixed rate took to be at each socket; in milliseconds.

    Attributes:
        missed: changes that began when the next one was due already.
    """

    subject: str
    rate: float
    changes: int
    missed: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, kw_only=True)
class Held:
    """What sockets cost a server: connects a second, memory of an idle one, seconds to have all back at once."""

    server: str
    connects: float
    kib: float
    storm: float


def percentile(values: Sequence[float], share: float) -> float:
    """The value that no more than this share of the others exceed; ``values`` are in order."""
    return values[min(len(values) - 1, int(share * len(values)))]


@dataclass(kw_only=True)
class Result:
    """All turns, in their order.

    Attributes:
        sizes: numbers of sockets, the largest last.
        capacity: changes a second that the stock consumer can tell to all sockets.
        counts: of this engine alone.
    """

    sizes: tuple[int, ...]
    capacity: float = 0.0
    last: list[Last] = field(default_factory=list)
    paced: list[Paced] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    inserts: list[Inserts] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def last_of(self, subject: str, sockets: int | None = None) -> float:
        """Median of the rounds' medians, by default with all sockets."""
        wanted = self.sizes[-1] if sockets is None else sockets
        return statistics.median(one.median for one in self.last if (one.subject, one.sockets) == (subject, wanted))

    @property
    def half(self) -> float:
        """Half of what the stock consumer can, in changes a second."""
        return self.capacity / 2

    def paced_of(self, subject: str, rate: float) -> tuple[float, float, float] | None:
        """Medians of the rounds' p50, p95 and p99; None where it was not measured."""
        found = [one for one in self.paced if (one.subject, one.rate) == (subject, rate)]
        if not found:
            return None
        p50, p95, p99 = (statistics.median(getattr(one, name) for one in found) for name in ("p50", "p95", "p99"))
        return p50, p95, p99

    def held_of(self, server: str, what: str) -> float:
        """Median of the rounds."""
        values: list[float] = [getattr(one, what) for one in self.held if one.server == server]
        return statistics.median(values)

    def _p95(self, subject: str, rate: float) -> float:
        found = self.paced_of(subject, rate)
        assert found is not None, "it is measured for each of them"
        return found[1]

    def _inserts(self, what: str) -> float:
        def median(kind: str) -> float:
            values: list[float] = [getattr(one, what) for one in self.inserts if one.kind == kind]
            return statistics.median(values)

        return median(WITH) / median(WITHOUT)

    @property
    def ratios(self) -> dict[str, float]:
        """Ours / theirs, with all sockets."""
        ours = self.last_of(HUB)
        found = {
            "last_vs_stock": ours / self.last_of(STOCK),
            "last_vs_bare": ours / self.last_of(BARE),
            "last_vs_socketio": ours / self.last_of(SOCKETIO),
            "p95_vs_stock": self._p95(HUB, self.half) / self._p95(STOCK, self.half),
            "commit_p95_vs_hub": max(self._p95(REST, OFTEN), self._p95(SQL, OFTEN)) / self._p95(HUB, OFTEN),
            "bulk_insert_time": self._inserts("bulk"),
            "single_insert_rate": self._inserts("rate"),
        }
        return {name: round(ratio, 3) for name, ratio in found.items()}

    @property
    def judged(self) -> list[tuple[Limit, float]]:
        """Every bar with what was measured."""
        ratios, counts = self.ratios, asdict(self.counts)
        return [
            *((limit, ratios[limit.ratio]) for limit in RATIOS),
            (MEMORY, round(self.held_of(ENGINE, "kib"), 1)),
            *((limit, float(counts[limit.ratio])) for limit in COUNTS),
        ]

    def record(self, size: Any) -> dict[str, Any]:
        """The result as JSON types, beside what it was measured on."""
        return {
            "benchmark": "live",
            "ratios": self.ratios,
            "counts": asdict(self.counts),
            "kib_per_socket": round(self.held_of(ENGINE, "kib"), 1),
            "stock_capacity_per_s": round(self.capacity, 2),
            "p95_from_commit_vs_stock": round(
                max(self._p95(REST, self.half), self._p95(SQL, self.half)) / self._p95(STOCK, self.half), 3
            ),
            "last_ms": {
                subject: {str(sockets): round(self.last_of(subject, sockets), 2) for sockets in self.sizes}
                for subject in SUBJECTS
            },
            "paced_ms": {
                subject: {
                    f"{rate:.3g} a second": dict(zip(("p50", "p95", "p99"), (round(v, 2) for v in found), strict=True))
                    for rate in (self.half, OFTEN)
                    if (found := self.paced_of(subject, rate)) is not None
                }
                for subject in SUBJECTS
            },
            "sockets": {
                server: {what: round(self.held_of(server, what), 2) for what in ("connects", "kib", "storm")}
                for server in SERVERS
            },
            "missed_slots": {
                subject: sum(one.missed for one in self.paced if one.subject == subject) for subject in SUBJECTS
            },
            "size": asdict(size),
            "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "load": os.getloadavg()},
            "versions": {
                name: version(name) for name in ("channels", "channels-redis", "uvicorn", "websockets", "picows")
            },
            "raw": {
                "last": [asdict(one) for one in self.last],
                "paced": [asdict(one) for one in self.paced],
                "held": [asdict(one) for one in self.held],
                "inserts": [asdict(one) for one in self.inserts],
            },
        }
