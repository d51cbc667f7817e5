"""What a client knows of the moment: who is present in a scope, and signals such as typing. Time is passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SIGNAL_LASTS = 6.0
"""Seconds for which a signal is true, by the client's own clock; nobody ever says that it has ended."""


@dataclass(frozen=True)
class Presence:
    """How many users are present in a scope, and those of them that were named."""

    count: int
    users: frozenset[int]

    @property
    def complete(self) -> bool:
        """Whether all of them were named."""
        return len(self.users) == self.count


@dataclass
class Moment:
    """Presence and signals of the scopes that a client holds; true for one connection."""

    presence: dict[str, Presence] = field(default_factory=dict)
    _signals: dict[tuple[str, str, int], float] = field(default_factory=dict)

    def signalled(self, frame: dict[str, Any], now: float) -> None:
        """A user says something; it is true from now on, for `SIGNAL_LASTS`."""
        self._signals[frame["scope"], frame["signal"], frame["user"]] = now + SIGNAL_LASTS

    def signalling(self, scope: str, name: str, now: float) -> list[int]:
        """The users of whom a signal is true, by id."""
        return sorted(user for (s, n, user), until in self._signals.items() if (s, n) == (scope, name) and now < until)

    def ends_in(self, now: float) -> float | None:
        """Seconds until the next signal ends; None where none is true."""
        self._signals = {key: until for key, until in self._signals.items() if now < until}
        return min(self._signals.values()) - now if self._signals else None

    def present(self, scope: str, said: dict[str, Any]) -> None:
        """Who is in a scope, in place of what was known; who is there no longer does nothing there any more."""
        before, after = self.presence.get(scope), Presence(said["count"], frozenset(said["users"]))
        self.presence[scope] = after
        if before is not None and after.complete:
            gone = before.users - after.users
            self._forget(lambda s, user: s == scope and user in gone)

    def drop(self, scope: str) -> None:
        """The scope is held no longer."""
        self.presence.pop(scope, None)
        self._forget(lambda s, _user: s == scope)

    def clear(self) -> None:
        """The connection has ended: nothing is known."""
        self.presence.clear()
        self._signals.clear()

    def _forget(self, which: Callable[[str, int], bool]) -> None:
        for key in [key for key in self._signals if which(key[0], key[2])]:
            del self._signals[key]
