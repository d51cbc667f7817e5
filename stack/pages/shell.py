"""Shells: the exported pages, served with the page data in them when no renderer can."""

from __future__ import annotations

import re
from pathlib import Path

_ESCAPES = (
    (b"&", b"\\u0026"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
# Before the first script, so that it is there however early that runs.
_PLACE = re.compile(rb"<script\b|</head>|</body>", re.IGNORECASE)


class Shells:
    """The exported pages of one build, each read once.

    Args:
        web: the export's folder; None where nothing is built.
    """

    def __init__(self, web: Path | None) -> None:
        self._web = web
        self._parts: dict[str, tuple[bytes, bytes]] = {}

    def page(self, route: str, data: bytes | None) -> bytes | None:
        """The shell of a route, as Next names it, with page data in it; None if there is no such shell."""
        parts = self._parts.get(route) or self._read(route)
        if parts is None:
            return None
        return parts[0] + (b"" if data is None else block(data)) + parts[1]

    def _read(self, route: str) -> tuple[bytes, bytes] | None:
        if self._web is None:
            return None
        for name in (f"{route}/index.html", f"{route}.html"):
            file = self._web / name.lstrip("/")
            # One that is missing is looked for again: it may be built meanwhile.
            if file.is_file():
                html = file.read_bytes()
                found = _PLACE.search(html)
                at = found.start() if found else len(html)
                self._parts[route] = html[:at], html[at:]
                return self._parts[route]
        return None


def block(data: bytes) -> bytes:
    """JSON as a block of HTML that no script runs and that nothing in the data can end."""
    for character, escape in _ESCAPES:
        data = data.replace(character, escape)
    return b'<script type="application/json" id="page-data">' + data + b"</script>"
