"""Reading the logs of a run: the last lines, and what comes after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import NotRunning
from harness.folders import Folders
from harness.stack.explain import tail
from harness.stack.running import current_run

_PIECE = 1 << 20


@dataclass(frozen=True)
class Line:
    """One line of a resource's log, without its end."""

    resource: str
    text: str


def log_names(folder: Path) -> tuple[str, ...]:
    """The resources of the run in ``folder`` that have a log, and ``supervisor``."""
    return tuple(sorted(file.stem for file in (folder / "logs").glob("*.log")))


def find_run(folders: Folders, run: str | None) -> Path:
    """The folder of ``run``, by default of the run that is up or alone, else of the newest; raises NotRunning."""
    if run is not None and (folders.runs / run / "logs").is_dir() and "/" not in run:
        return folders.runs / run
    if run is not None:
        raise NotRunning(f"There is no run {run} in this checkout.", hint="See the folder runs/ for all.")
    current = current_run(folders)
    if current is not None:
        return folders.runs / current
    known = sorted(path.parent for path in folders.runs.glob("*/logs"))
    if not known:
        raise NotRunning("There has been no run in this checkout.", hint="Start one with: harness up")
    return known[-1]


class Follower:
    """Reads on in several logs at once, from where they end now (or from their beginning)."""

    def __init__(self, folder: Path, names: Iterable[str] | None, *, from_end: bool = True) -> None:
        self._folder = folder / "logs"
        self._names = None if names is None else frozenset(names)
        self._read: dict[Path, int] = {}
        self._rest: dict[Path, bytes] = {}
        if from_end:
            for file in self._files():
                self._read[file] = file.stat().st_size

    def new_lines(self) -> Iterator[Line]:
        """Whole lines that have come since the last call."""
        for file in self._files():
            position = self._read.get(file, 0)
            with file.open("rb") as stream:
                stream.seek(position)
                piece = stream.read(_PIECE)
            self._read[file] = position + len(piece)
            *lines, rest = (self._rest.get(file, b"") + piece).split(b"\n")
            self._rest[file] = rest
            for line in lines:
                yield Line(file.stem, line.decode("utf-8", "replace").rstrip("\r"))

    def drain(self) -> Iterator[Line]:
        """All that is left: whole lines, and then the beginnings of lines that never got an end."""
        while lines := list(self.new_lines()):
            yield from lines
        for file, rest in self._rest.items():
            if rest:
                yield Line(file.stem, rest.decode("utf-8", "replace"))
        self._rest.clear()

    def _files(self) -> list[Path]:
        return [
            file
            for file in sorted(self._folder.glob("*.log"))
            if (file.stem != "supervisor" if self._names is None else file.stem in self._names)
        ]


def last_lines(folder: Path, names: Iterable[str], count: int) -> Iterator[Line]:
    """The last ``count`` lines of each log."""
    for name in names:
        for text in tail(folder / "logs" / f"{name}.log", count):
            yield Line(name, text)
