"""What the parts of `tests` came to, and the table that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Counts(NamedTuple):
    """How many checks or tests passed, failed and were skipped."""

    passed: int
    failed: int
    skipped: int = 0


class Part(NamedTuple):
    """What one part of `tests` came to; `seconds` is wall time."""

    name: str
    counts: Counts
    seconds: float


def counts_of(report: Path) -> Counts:
    """The counts of a JUnit file that pytest wrote; none of anything where it wrote none."""
    if not report.exists():
        return Counts(0, 0)
    passed = failed = skipped = 0
    for suite in ElementTree.parse(report).iter("testsuite"):  # noqa: S314
        total, left_out = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        broken = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        passed, failed, skipped = passed + total - left_out - broken, failed + broken, skipped + left_out
    return Counts(passed, failed, skipped)


def table(parts: Sequence[Part]) -> str:
    """A line for each part, and one that sums them up; skipped tests stand in it as soon as there are any."""
    lines = [f"{'part':<12}{'passed':>8}{'failed':>8}{'skipped':>9}{'time':>10}"]
    for name, counts, seconds in parts:
        lines.append(f"{name:<12}{counts.passed:>8}{counts.failed:>8}{counts.skipped:>9}{seconds:>8.1f} s")
    passed, failed, skipped = (sum(column) for column in zip(*(part.counts for part in parts), strict=True))
    closing = f"{passed} passed, {failed} failed"
    if skipped:
        closing += f", {skipped} skipped"
    return "\n".join([*lines, "", closing])
