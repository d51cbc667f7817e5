"""Who is present in which scopes, over all server processes, as one hub knows it. No I/O; time is passed in.

A hub is the authority for its own sockets and tells the others what changes. Each of its changes has a number, so that
a lost one is noticed; who was not heard of for long is forgotten with everybody it had.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FORGET_AFTER = 25.0
"""Seconds of silence after which a hub counts as dead: two beats and a half."""
MOST_NAMED = 100
"""More users of a scope are counted, but not named: a list that long says nothing more, and goes to each of them."""

_REMEMBER_LEFT, _MOST_LEFT = 30.0, 10_000


@dataclass
class _Hub:
    """What another hub said last: its changes up to ``n``, heard of at ``heard``."""

    n: int
    heard: float
    users: dict[str, set[int]] = field(default_factory=dict)


class Presences:
    """The users of this hub's sockets, and those that the others told of.

    Attributes:
        n: counts this hub's changes that were told.
        changed: scopes in which somebody came or went; whoever tells of them clears it.
    """

    def __init__(self) -> None:
        self.n = 0
        self.changed: set[str] = set()
        self._here: dict[str, dict[int, int]] = {}
        self._others: dict[str, _Hub] = {}
        self._untold: dict[tuple[str, int], bool] = {}
        self._left: dict[tuple[str, int], tuple[int, float]] = {}

    def of(self, scope: str) -> tuple[int, list[int]]:
        """How many users are present in a scope, and at most `MOST_NAMED` of them by id."""
        users = set(self._here.get(scope, ()))
        for hub in self._others.values():
            users |= hub.users.get(scope, set())
        return len(users), heapq.nsmallest(MOST_NAMED, users)

    # -- this hub's sockets ----------------------------------------------------------------------------------------

    def came(self, user: int, scope: str) -> None:
        """One more socket of a user holds a scope."""
        sockets = self._here.setdefault(scope, {})
        sockets[user] = sockets.get(user, 0) + 1
        if sockets[user] == 1:
            self._untold[scope, user] = True
            self.changed.add(scope)

    def went(self, user: int, scope: str) -> None:
        """One socket of a user holds a scope no longer."""
        sockets = self._here[scope]
        sockets[user] -= 1
        if sockets[user] == 0:
            del sockets[user]
            if not sockets:
                del self._here[scope]
            self._untold[scope, user] = False
            self.changed.add(scope)

    @property
    def untold(self) -> bool:
        """Whether the other hubs do not know all yet."""
        return bool(self._untold)

    def take_changes(self) -> dict[str, dict[str, list[int]]]:
        """What the other hubs have not been told, as the message has it; from now on it counts as told."""
        changes: dict[str, dict[str, list[int]]] = {"come": defaultdict(list), "gone": defaultdict(list)}
        for (scope, user), present in self._untold.items():
            changes["come" if present else "gone"][scope].append(user)
        self._untold.clear()
        self.n += 1
        return {kind: dict(scopes) for kind, scopes in changes.items() if scopes}

    def take_whole(self) -> dict[str, list[int]]:
        """Everybody here, by scope; from now on all of it counts as told."""
        if self._untold:
            self._untold.clear()
            self.n += 1
        return {scope: list(users) for scope, users in self._here.items()}

    # -- the other hubs --------------------------------------------------------------------------------------------

    def hear(self, message: Mapping[str, Any], now: float) -> bool:
        """Take what another hub says of its sockets.

        Args:
            message: ``hub``, ``n`` and ``seq``, with ``whole``, or ``come`` and ``gone``, or ``bye``, or nothing.
            now: seconds of the monotonic clock.

        Returns:
            Whether something is missing, so that its whole state has to be asked for.
        """
        name, n = message["hub"], message["n"]
        if message.get("bye"):
            self._lose(name)
            return False
        known = self._others.get(name)
        if known is not None:
            known.heard = now
        if (whole := message.get("whole")) is not None:
            if known is None or n >= known.n:
                self._replace(name, _Hub(n, now), whole, at=message["seq"])
            return False
        if known is None:
            return True
        changes = message.keys() & {"come", "gone"}
        if changes and n == known.n + 1:
            known.n = n
            self._change(known, message.get("come", {}), message.get("gone", {}), at=message["seq"])
        return bool(n > known.n)

    @property
    def forget_at(self) -> float:
        """When the first of the other hubs will have been silent for too long."""
        return min((hub.heard for hub in self._others.values()), default=math.inf) + FORGET_AFTER

    def forget(self, now: float) -> None:
        """Lose the hubs that have been silent for long."""
        for name in [name for name, hub in self._others.items() if now >= hub.heard + FORGET_AFTER]:
            self._lose(name)
        while self._left and self._oldest_left <= now - _REMEMBER_LEFT:
            del self._left[next(iter(self._left))]

    # -- what the log says of access -------------------------------------------------------------------------------

    def left(self, user: int, scope: str, *, seq: int, now: float) -> None:
        """A user sees a scope no longer, whatever hubs say that have not come to this event of the log yet."""
        if len(self._left) >= _MOST_LEFT:
            del self._left[next(iter(self._left))]
        self._left[scope, user] = (seq, now)
        for hub in self._others.values():
            if user in hub.users.get(scope, ()):
                self._gone(hub, scope, [user])

    def entered(self, user: int, scope: str) -> None:
        """A user sees a scope, or sees it again."""
        self._left.pop((scope, user), None)

    def believe_all(self) -> None:
        """The log begins anew: its old numbers say nothing."""
        self._left.clear()

    def may_be_in(self, scope: str, user: int, *, at: int) -> bool:
        """Whether to believe a hub that stands at a seq of the log that a user is in a scope."""
        seq, _when = self._left.get((scope, user), (0, 0.0))
        return at >= seq

    @property
    def _oldest_left(self) -> float:
        return next(iter(self._left.values()))[1]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _replace(self, name: str, hub: _Hub, whole: Mapping[str, Iterable[int]], *, at: int) -> None:
        before = self._others[name].users if name in self._others else {}
        self._others[name] = hub
        for scope, users in whole.items():
            if believed := {user for user in users if self.may_be_in(scope, user, at=at)}:
                hub.users[scope] = believed
        self.changed.update(s for s in before.keys() | hub.users.keys() if before.get(s) != hub.users.get(s))

    def _change(
        self, hub: _Hub, come: Mapping[str, Iterable[int]], gone: Mapping[str, Iterable[int]], *, at: int
    ) -> None:
        for scope, users in come.items():
            if believed := {user for user in users if self.may_be_in(scope, user, at=at)}:
                hub.users.setdefault(scope, set()).update(believed)
                self.changed.add(scope)
        for scope, users in gone.items():
            self._gone(hub, scope, users)

    def _gone(self, hub: _Hub, scope: str, users: Iterable[int]) -> None:
        present = hub.users.get(scope)
        if present is None:
            return
        present.difference_update(users)
        if not present:
            del hub.users[scope]
        self.changed.add(scope)

    def _lose(self, name: str) -> None:
        hub = self._others.pop(name, None)
        if hub is not None:
            self.changed.update(hub.users)
