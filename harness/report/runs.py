"""The runs of this checkout: what they were, how they ended, how much room they take; removing old ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from harness import locks
from harness.folders import Folders
from harness.report.files import REPORT_HTML, REPORT_JSON
from harness.stack.sweep import LOCK

Verdict = Literal["passed", "failed", "not played", "unreadable"]

_DATE = "%Y%m%d-%H%M%S"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run folder and what it tells."""

    run: str
    began: datetime | None
    """In the time zone of this machine."""
    kind: str
    """``up``, ``throwaway``, or ``elsewhere`` for plays against a stack that was not started here."""
    alive: bool
    """Whether its supervisor is."""
    verdict: Verdict
    plays: int
    failed: int
    skipped: int
    size: int
    """Bytes of all its files."""
    html: Path | None
    """Its report, if it has one."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "run": self.run,
            "began": None if self.began is None else self.began.isoformat(),
            "kind": self.kind,
            "alive": self.alive,
            "verdict": self.verdict,
            "plays": self.plays,
            "failed": self.failed,
            "skipped": self.skipped,
            "bytes": self.size,
            "html": None if self.html is None else str(self.html),
        }


def runs_in(folder: Path) -> list[Run]:
    """All runs whose folders are there, the newest first."""
    if not folder.is_dir():
        return []
    # The name of a run begins with its date.
    places = sorted((one for one in folder.iterdir() if one.is_dir() and not one.is_symlink()), reverse=True)
    return [_run(place) for place in places if not place.name.startswith(".")]


def prune(folders: Folders, *, keep: int) -> list[Run]:
    """Remove the folders of all but the `keep` newest runs; those of runs that are alive or were killed stay.

    What a killed run left elsewhere is found by its folder, which the next start sweeps up. Returns what was removed.
    """
    if not folders.runs.is_dir():
        return []
    removed = []
    # Whoever starts a run has a folder before they have a supervisor.
    with locks.holding(folders.start_lock):
        for run in runs_in(folders.runs)[keep:]:
            place = folders.runs / run.run
            if (place / LOCK).exists():
                continue
            shutil.rmtree(place, ignore_errors=True)
            if not place.exists():
                removed.append(run)
    return removed


def total(runs: Sequence[Run]) -> int:
    """The bytes of several runs together."""
    return sum(run.size for run in runs)


def _run(place: Path) -> Run:
    state, report = _json(place / "state.json"), _json(place / REPORT_JSON)
    plays = report.get("scenarios")
    entries = [one for one in plays if isinstance(one, dict)] if isinstance(plays, list) else []
    html = place / REPORT_HTML
    return Run(
        run=place.name,
        began=_date(place.name),
        kind=str(state.get("kind", "throwaway")) if state else "elsewhere",
        alive=locks.is_held(place / LOCK),
        verdict=_verdict(place, report),
        plays=len(entries),
        failed=sum(one.get("failure") is not None for one in entries),
        skipped=sum(one.get("skipped") is not None for one in entries),
        size=_size(place),
        html=html if html.is_file() else None,
    )


def _verdict(place: Path, report: dict[str, Any]) -> Verdict:
    if not (place / REPORT_JSON).exists():
        return "not played"
    if not isinstance(report.get("passed"), bool):
        return "unreadable"
    return "passed" if report["passed"] else "failed" if _failed(report) else "not played"


def _failed(report: dict[str, Any]) -> bool:
    plays = report.get("scenarios")
    return isinstance(plays, list) and any(isinstance(one, dict) and one.get("failure") is not None for one in plays)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _date(name: str) -> datetime | None:
    try:
        # The id of a run is made of local time.
        return datetime.strptime("-".join(name.split("-")[:2]), _DATE).astimezone()
    except ValueError:
        return None


def _size(place: Path) -> int:
    size = 0
    for path in place.rglob("*"):
        try:
            size += path.lstat().st_size if path.is_file() or path.is_symlink() else 0
        except OSError:
            # It went away while we looked: a run that is alive writes and removes.
            continue
    return size
