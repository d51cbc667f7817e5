"""Bars: what a measured figure has to reach, and how it stands to that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a figure stands to its bar."""

    REACHED = "reached"
    GATE = "gate only"
    MISSED = "missed"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A bar: a ratio's goal, and the gate that may not be missed; `more` says that larger is better."""

    ratio: str
    about: str
    goal: float
    gate: float
    more: bool

    @property
    def text(self) -> str:
        sign = "≥" if self.more else "≤"
        gate = "" if self.gate == self.goal else f", gate {sign} {self.gate:g}"
        return f"{sign} {self.goal:g}{gate}"

    def judge(self, ratio: float) -> Verdict:
        """Where a ratio lies."""

        def holds(limit: float) -> bool:
            return ratio >= limit if self.more else ratio <= limit

        return Verdict.REACHED if holds(self.goal) else Verdict.GATE if holds(self.gate) else Verdict.MISSED
