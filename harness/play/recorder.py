"""Records what happened in one play, for reports and for evidence."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, replace

from harness.play.moments import Moment
from harness.play.observers import Step

MOMENTS_KEPT = 20_000


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How one kind of request or delivery went: times in milliseconds."""

    name: str
    count: int
    failed: int
    p50: float
    p95: float
    max: float


class Recorder:
    """An observer that keeps everything it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.perf_counter()
        self._steps: list[Step] = []
        self._requests: dict[str, list[tuple[float, str | None]]] = defaultdict(list)
        self._deliveries: dict[str, list[tuple[float, str | None]]] = defaultdict(list)
        self._moments: deque[Moment] = deque(maxlen=MOMENTS_KEPT)

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        with self._lock:
            self._requests[f"{method} {name}"].append((ms, error))

    def delivery(self, name: str, ms: float, error: str | None) -> None:
        with self._lock:
            self._deliveries[name].append((ms, error))

    def step(self, step: Step) -> None:
        if step.seconds is None:
            return
        # A step that was not told when it began is counted from its end.
        at = max(0.0, time.perf_counter() - self._began - step.seconds) if step.at is None else step.at
        with self._lock:
            self._steps.append(replace(step, at=at))

    def moment(self, moment: Moment) -> None:
        self._moments.append(moment)

    @property
    def moments(self) -> tuple[Moment, ...]:
        """What happened, in the order of time; of very long plays only the newest are kept."""
        return tuple(sorted(self._moments.copy(), key=lambda moment: moment.at))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that ended, in the order of their ends."""
        return tuple(self._steps)

    @property
    def requests(self) -> tuple[Timing, ...]:
        with self._lock:
            return tuple(_timing(name, entries) for name, entries in sorted(self._requests.items()))

    @property
    def deliveries(self) -> tuple[Timing, ...]:
        with self._lock:
            return tuple(_timing(name, entries) for name, entries in sorted(self._deliveries.items()))


def _timing(name: str, entries: list[tuple[float, str | None]]) -> Timing:
    times = sorted(ms for ms, error in entries if error is None) or [0.0]
    return Timing(
        name=name,
        count=len(entries),
        failed=sum(error is not None for _, error in entries),
        p50=_quantile(times, 0.50),
        p95=_quantile(times, 0.95),
        max=times[-1],
    )


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
