"""Files beside a report's page: links to them, and the pictures that are kept in the page itself."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.play.runner import Play
from harness.report.story import Pictures, inside

FILES = 60


def pictures_of(
    entry: dict[str, Any], play: Play, pictures: Pictures, *, folder: Path, anchor: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The screenshots that are kept in the page, and those that are not."""
    embedded: list[dict[str, Any]] = []
    loose: list[dict[str, Any]] = []
    for number, shot in enumerate(entry["screenshots"], 1):
        file = inside(play.evidence, shot["file"]) if play.evidence is not None else None
        uri = pictures.uri(file) if file is not None else None
        step = None if shot["step"] is None else entry["steps"][shot["step"] - 1]["title"]
        # The stage names the picture at the end of a step after the step.
        text = "" if step is not None and shot["text"].endswith(f" {step}") else shot["text"]
        words = {"number": shot["step"], "step": step, "text": text}
        shown = {**shot, **words, "anchor": f"{anchor}-picture-{number}", "uri": uri}
        if uri is not None:
            embedded.append(shown)
        else:
            loose.append({**shown, "href": _href(file, folder) if file is not None and file.exists() else None})
    return embedded, loose


def files_of(evidence: Path | None, folder: Path) -> list[dict[str, str]]:
    """What lies in the folder of evidence, as links from the run folder."""
    if evidence is None or not evidence.is_dir() or not evidence.is_relative_to(folder):
        return []
    files = sorted(file for file in evidence.rglob("*") if file.is_file() and not file.is_symlink())
    return [file_link(file, folder) for file in files[:FILES]]


def traces_of(evidence: Path | None, folder: Path) -> list[dict[str, str]]:
    """Playwright's traces in the folder of evidence: links, and the command that shows each.

    The path in the command is relative to the working directory, where whoever started the run is likely to be.
    """
    if evidence is None or not evidence.is_dir() or not evidence.is_relative_to(folder):
        return []
    traces = sorted(file for file in evidence.glob("*.zip") if file.is_file() and not file.is_symlink())
    return [
        {
            **file_link(file, folder),
            "actor": file.name.removesuffix(".zip").removesuffix(".trace"),
            "command": shlex.join(["python", "-m", "playwright", "show-trace", "--port", "0", os.path.relpath(file)]),
        }
        for file in traces
    ]


def file_link(file: Path, folder: Path) -> dict[str, str]:
    """The name of a file from the run folder, a link to it, its size."""
    return {"name": file.relative_to(folder).as_posix(), "href": _href(file, folder) or "", "size": size(file)}


def size(file: Path) -> str:
    """How large a file is, for people."""
    return sized(file.stat().st_size)


def sized(count: int) -> str:
    """So many bytes, for people: ``empty``, ``3 kB``, ``1.2 MB``."""
    if count >= 1_000_000:
        return f"{count / 1_000_000:.1f} MB"
    return f"{max(1, round(count / 1000))} kB" if count else "empty"


def _href(file: Path | None, folder: Path) -> str | None:
    if file is None:
        return None
    folder, file = folder.resolve(), file.resolve()
    return quote(file.relative_to(folder).as_posix()) if file.is_relative_to(folder) else None
