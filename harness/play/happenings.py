"""What else went on while a scenario played: faults and what they bit, what the resources wrote."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import HarnessError
from harness.play.observers import Step
from harness.stack.logs import Follower

LINES_KEPT = 200
"""Lines of one resource's log, the newest, that are kept of a step that failed."""


@dataclass(frozen=True, kw_only=True)
class FaultSpan:
    """A fault that was in force for a while; times in seconds since the play began."""

    what: str
    """``redis: latency, seconds 0.5``."""
    began: float
    ended: float | None
    """None if it was still in force when the play was over."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What it bit: ``{"refused": 3}``."""


@dataclass(frozen=True, kw_only=True)
class LogSlice:
    """What a resource wrote during the step that failed."""

    resource: str
    lines: tuple[str, ...]
    left_out: int
    """How many older lines of that step there are."""


class Faults:
    """Notes the faults of one play; `seconds` gives the time since it began."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._spans: list[FaultSpan] = []

    @property
    def spans(self) -> tuple[FaultSpan, ...]:
        """The faults in the order of their beginnings."""
        return tuple(self._spans)

    @contextmanager
    def span(self, what: str, figures: Callable[[], Mapping[str, float]]) -> Generator[None]:
        """A fault for the length of the block; `figures` are asked for when it ends."""
        place, span = len(self._spans), FaultSpan(what=what, began=self._seconds(), ended=None)
        self._spans.append(span)
        try:
            yield
        finally:
            span = replace(span, ended=self._seconds())
            # Who counts may be broken as well, which must not hide why the block ended.
            with suppress(HarnessError):
                span = replace(span, figures=figures())
            self._spans[place] = span


class StepLogs:
    """An observer that knows where every log stood when the present step began."""

    def __init__(self, folder: Path) -> None:
        """`folder`: that of the run."""
        self._folder = folder
        self._failed = False
        self._follower = Follower(folder, None)

    def slices(self) -> tuple[LogSlice, ...]:
        """What each resource has written since then; nothing of those that kept silent."""
        found: dict[str, list[str]] = {}
        for line in self._follower.drain():
            found.setdefault(line.resource, []).append(line.text)
        return tuple(
            LogSlice(resource=name, lines=tuple(lines[-LINES_KEPT:]), left_out=max(0, len(lines) - LINES_KEPT))
            for name, lines in found.items()
        )

    def step(self, step: Step) -> None:
        """A step that begins after one that failed is part of the same story."""
        self._failed = self._failed or step.error is not None
        if step.running and not self._failed:
            self._follower = Follower(self._folder, None)

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        """Not kept here."""

    def delivery(self, name: str, ms: float, error: str | None) -> None:
        """Not kept here."""

    def moment(self, moment: object) -> None:
        """Not kept here."""
