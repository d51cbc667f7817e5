"""What actors leave behind in a play's folder, in files that are named after them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.actors.errors import View


def file_name(text: str) -> str:
    """`text` as part of a file's name: letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"


def write_view(folder: Path, view: View) -> None:
    """``<actor>.screen.txt``: what they have before them."""
    (folder / f"{file_name(view.actor)}.screen.txt").write_text(f"{view}\n", encoding="utf-8")


def write_frames(folder: Path, label: str, frames: Iterable[tuple[float, bool, Any]]) -> None:
    """``<actor>.frames.jsonl``: a live frame a line, oldest first, with its time and direction.

    `frames`: seconds since the play began, whether the frame was sent, the frame.
    """
    rows = ({"at": round(at, 4), "sent": sent, "frame": frame} for at, sent, frame in frames)
    content = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    (folder / f"{file_name(label)}.frames.jsonl").write_text(content, encoding="utf-8")


def write_console(folder: Path, label: str, lines: Iterable[str]) -> None:
    """``<actor>.console.txt``: what a page wrote into its console, and what went wrong in it."""
    content = "".join(f"{line}\n" for line in lines)
    (folder / f"{file_name(label)}.console.txt").write_text(content, encoding="utf-8")
