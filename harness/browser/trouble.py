"""What went wrong in a page without anybody asking: console errors, failed requests, crashes. And what was expected."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Kind = Literal["console", "page", "request", "response", "crash"]

# What a cut network makes a browser say.
NETWORK = r"net::ERR_|WebSocket connection to|Failed to fetch|Failed to load|NetworkError|network error"

_HYDRATION = re.compile(r"hydrat|did not match|server[- ]rendered", re.IGNORECASE)
# Told as a failed request or as a response already, with more to it.
_TOLD_TWICE = "Failed to load resource:"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One thing that went wrong; `at` by `time.perf_counter`, `excuse` is why it was expected, if it was."""

    at: float
    kind: Kind
    text: str
    excuse: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(eq=False)
class _Expectation:
    reason: str
    pattern: re.Pattern[str]


class Troubles:
    """The troubles of one page, and the reasons for which some are expected. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Trouble] = []
        self._expectations: list[_Expectation] = []

    @property
    def all(self) -> tuple[Trouble, ...]:
        with self._lock:
            return tuple(self._all)

    @property
    def unexpected(self) -> tuple[Trouble, ...]:
        """What nobody announced, in the order it happened."""
        return tuple(trouble for trouble in self.all if trouble.excuse is None)

    def note(self, kind: Kind, text: str, *, at: float) -> Trouble:
        """Something went wrong; it is excused if it is expected right now."""
        with self._lock:
            excuse = next((one.reason for one in self._expectations if one.pattern.search(text)), None)
            trouble = Trouble(at=at, kind=kind, text=text, excuse=excuse)
            self._all.append(trouble)
            return trouble

    def expect(self, reason: str, pattern: str) -> object:
        """From now on, troubles whose text `pattern` is found in are expected; a token for `expect_no_more`."""
        expectation = _Expectation(reason, re.compile(pattern))
        with self._lock:
            self._expectations.append(expectation)
        return expectation

    def expect_no_more(self, token: object) -> None:
        """What that expectation covered is trouble again."""
        with self._lock:
            self._expectations = [one for one in self._expectations if one is not token]

    @contextmanager
    def expected(self, reason: str, pattern: str, *, before_end: Callable[[], object]) -> Generator[None]:
        """`expect` for the length of a block; `before_end` makes sure that all of it has been noted."""
        token = self.expect(reason, pattern)
        try:
            yield
        finally:
            before_end()
            self.expect_no_more(token)

    def excuse(self, reason: str, *, since: float, pattern: str) -> None:
        """Excuse what came `since` then and fits: it has been told in another way, such as by an error raised."""
        fits = re.compile(pattern)
        with self._lock:
            self._all = [
                Trouble(at=one.at, kind=one.kind, text=one.text, excuse=reason)
                if one.excuse is None and one.at >= since and fits.search(one.text)
                else one
                for one in self._all
            ]


def is_trouble(level: str, text: str) -> bool:
    """Whether a message in the console is a trouble: errors, and warnings about hydration."""
    if level == "error":
        return not text.startswith(_TOLD_TWICE)
    return level == "warning" and _HYDRATION.search(text) is not None


def is_aborted(failure: str | None) -> bool:
    """Whether a request ended because the page no longer wanted its answer, as when it is left."""
    return failure is not None and "ERR_ABORTED" in failure
