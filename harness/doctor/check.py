"""What a check is, where it looks and what it finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from harness.folders import Folders

State = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where the checks look; by default at this checkout and this process's environment."""

    folders: Folders = field(default_factory=Folders.of_checkout)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    port: int = 8000
    """The port that the app would like to have."""


@dataclass(frozen=True)
class Finding:
    """What one look gave: ``ok``, ``warn`` (works, with a drawback) or ``bad`` (something can't work)."""

    state: State
    text: str
    fix: str = ""


def ok(text: str) -> Finding:
    """Nothing is in the way."""
    return Finding("ok", text)


def warn(text: str, *, fix: str) -> Finding:
    """It works, with a drawback."""
    return Finding("warn", text, fix)


def bad(text: str, *, fix: str) -> Finding:
    """Something can't work."""
    return Finding("bad", text, fix)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing to look at; `look` changes nothing and may raise. ``online``: it asks somebody elsewhere."""

    name: str
    look: Callable[[Ground], Finding]
    online: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a check; ``fix`` is what to do about it, empty if it is ok."""

    name: str
    state: State
    finding: str
    fix: str = ""

    def record(self) -> dict[str, str]:
        """As plain JSON types."""
        return asdict(self)
