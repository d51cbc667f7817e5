"""Makes any text fit to be shown in a report: without secrets, without control characters, not endless."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MASK = "•••"
SHORTEST_SECRET = 6
"""Characters; to mask what is shorter would eat ordinary words and protect nothing."""

_SECRET_FILES = ("users.json", "credentials.json", "people.json")
_NOT_SECRET = frozenset({"name", "role"})
# Where a text was cut, the second quote is missing.
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|\\"[^"]*|[^\s"',;&}]+)"""
_PATTERNS = (
    # A whole header: a cookie's own name says nothing about how secret it is.
    (re.compile(r"(?i)\b((?:set-)?cookie[\"']?\s*[:=]\s*)[^\r\n]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?(?:basic |bearer )?)[^\s\"',]+"), rf"\1{MASK}"),
    (
        re.compile(
            r"(?i)((?:session_?(?:id|key)|csrf(?:_?token|middlewaretoken)|pass(?:word|wd)[12]?|secret(?:_key)?"
            rf"|(?:access|auth|refresh)_token|api_?key)\\?[\"']?\s*[:=]\s*){_VALUE}"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+@"), rf"\1{MASK}@"),
)
# Control characters mean something else to every reader, some turn what follows around for people alone, and lone
# surrogates can't be written at all.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Cleaner:
    """Knows the secrets of one run by heart, and what secrets look like."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({text for text in secrets if len(text) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    @classmethod
    def of_run(cls, folder: Path, secrets: Iterable[str] = ()) -> Cleaner:
        """With the passwords and keys that lie in a run folder, and `secrets` besides."""
        return cls([*secrets, *(one for name in _SECRET_FILES for one in _secrets_in(folder / name))])

    def text(self, text: str, *, limit: int | None = None) -> str:
        """`text` as it may be shown; of a longer one than `limit` characters the beginning."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        text = _UNSHOWABLE.sub("\ufffd", _ANSI.sub("", text))
        if limit is not None and len(text) > limit:
            # Cut last: half a secret would not be known as one.
            text = f"{text[:limit]}… ({len(text)} characters)"
        return text

    def data(self, value: Any) -> Any:
        """Plain data with all its texts cleaned."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.data(key): self.data(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(one) for one in value]
        return value


def _secrets_in(path: Path) -> list[str]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    rows = content if isinstance(content, list) else [content]
    return [
        value
        for row in rows
        if isinstance(row, dict)
        for key, value in row.items()
        if key not in _NOT_SECRET and isinstance(value, str)
    ]
