"""What all processes of the benchmark agree on."""

from __future__ import annotations

import re

ORIGIN = "https://127.0.0.1"
COOKIE = "__Host-sessionid"
HEADER = "x-committed-at"
"""Of an answer: when the request's transaction was committed, in seconds of the clock that processes share."""

MARK = re.compile(r"@(\d{8})@")


def mark(number: int) -> str:
    """How a text names the change that it tells of."""
    return f"@{number:08d}@"
