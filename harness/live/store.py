"""What a client holds: the windows of its scopes, kept in step by events. No I/O.

The rules are those of docs/live-protocol.md; one file of vectors proves them here, in the browser and on the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from harness.live.moment import Moment, Presence

JSON: TypeAlias = dict[str, Any]
EntityKey: TypeAlias = tuple[str, Any]


@dataclass(frozen=True)
class Cursor:
    """``(epoch, seq)`` that a client is complete up to."""

    epoch: str
    seq: int

    def to_json(self) -> JSON:
        return {"epoch": self.epoch, "seq": self.seq}


@dataclass
class Counts:
    """What happened to the events that came in."""

    applied: int = 0
    dropped: int = 0
    ignored: int = 0
    holes: int = 0


@dataclass
class Window:
    """What is held of one scope.

    Attributes:
        at: the seq it is complete up to.
        bounds: long type -> lowest (order key, id) held, None if all of it is.
        entities: (type, id) -> data.
        stale: too much changed at once; it has to be loaded anew.
        missing: it was too large to come along when the scope was entered, so that nothing is there to look at.
    """

    at: int
    bounds: dict[str, list[Any] | None]
    entities: dict[EntityKey, JSON]
    stale: bool = False
    missing: bool = False


@dataclass(frozen=True)
class Applied:
    """What one event did: nothing, its ops, or that events before it are missing."""

    ops: Sequence[JSON] = ()
    hole: bool = False


@dataclass
class LiveStore:
    """A client's entities, per scope, and how far they are complete; beside them, what is of the moment.

    Attributes:
        clock: monotonic, in seconds; signals end by it.
    """

    user: int | None = None
    epoch: str = ""
    seq: int = 0
    orders: Mapping[str, str] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    moment: Moment = field(default_factory=Moment, compare=False)
    _replay: dict[str, list[JSON]] = field(default_factory=dict)

    @property
    def cursor(self) -> Cursor | None:
        """What to resume from; None before the first snapshot."""
        return Cursor(self.epoch, self.seq) if self.epoch else None

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(self.windows)

    @property
    def stale(self) -> frozenset[str]:
        """Scopes that wait to be loaded anew."""
        return frozenset(scope for scope, window in self.windows.items() if window.stale)

    def entities(self, type_: str) -> list[JSON]:
        """All entities of a type, scope by scope."""
        return [data for window in self.windows.values() for data in _of_type(window, type_)]

    def entity(self, type_: str, id_: Any) -> JSON | None:
        return next(
            (window.entities[type_, id_] for window in self.windows.values() if (type_, id_) in window.entities),
            None,
        )

    def in_scope(self, scope: str, type_: str) -> list[JSON]:
        """The entities of a type in one scope, long types in their fixed order; empty if it is not held."""
        window = self.windows.get(scope)
        return [] if window is None else sorted(_of_type(window, type_), key=lambda data: self._key(type_, data))

    def present(self, scope: str) -> Presence | None:
        """Who is there, as far as it was told; None before it was."""
        return self.moment.presence.get(scope)

    def typing(self, scope: str) -> list[int]:
        """The users who are typing in a scope, by id."""
        return self.moment.signalling(scope, "typing", self.clock())

    # -- what comes from the server ---------------------------------------------------------------------------------

    def apply_snapshot(self, frame: JSON) -> None:
        """Replace everything."""
        self.user, self.epoch, self.seq = frame["user"], frame["epoch"], frame["seq"]
        self.windows = {scope: self._window(window, frame["seq"]) for scope, window in frame["scopes"].items()}
        self._replay.clear()
        self.moment.clear()

    def apply_event(self, frame: JSON) -> Applied:
        """Apply an event once and in order.

        Returns:
            ``hole`` if events of its scope are missing: nothing was applied and the client has to resume.
        """
        scope, seq = frame["scope"], frame["seq"]
        if scope in self._replay:
            self._replay[scope].append(frame)
        window = self.windows.get(scope)
        if window is None:
            self.counts.ignored += 1
            self.seq = max(self.seq, seq)
            return Applied()
        if seq <= window.at:
            self.counts.dropped += 1
            self.seq = max(self.seq, seq)
            return Applied()
        if frame["prev"] > window.at:
            self.counts.holes += 1
            # Events of other scopes may have moved the cursor past what is missing here.
            self.seq = min(self.seq, window.at)
            return Applied(hole=True)
        for op in frame["ops"]:
            self._apply(window, op, seq)
        window.at = seq
        self.seq = max(self.seq, seq)
        self.counts.applied += 1
        return Applied(ops=frame["ops"])

    def apply_heartbeat(self, frame: JSON) -> None:
        """The server verified that nothing is missing up to this seq of its log, which is this one if all is right."""
        if frame["epoch"] == self.epoch:
            self.seq = max(self.seq, frame["seq"])

    def apply_signal(self, frame: JSON) -> None:
        """A user says something of the moment in a scope."""
        if frame["scope"] in self.windows:
            self.moment.signalled(frame, self.clock())

    def apply_presence(self, frame: JSON) -> None:
        """Who is present in some scopes."""
        for scope, said in frame["scopes"].items():
            if scope in self.windows:
                self.moment.present(scope, said)

    def expect(self, scope: str) -> None:
        """A window or page of this scope was asked for: keep its events, to apply them again behind the answer."""
        self._replay.setdefault(scope, [])

    def expects(self, scope: str) -> bool:
        """Whether an answer about this scope is out; there is never more than one."""
        return scope in self._replay

    def expect_nothing(self) -> None:
        """The connection has ended: what was asked for is never answered, and what was of the moment is over."""
        self._replay.clear()
        self.moment.clear()

    def apply_scope(self, frame: JSON) -> None:
        """A scope that was loaded anew; a window of None means that the user no longer sees it."""
        scope, missed = frame["scope"], self._replay.pop(frame["scope"], None)
        if missed is None:
            return
        if frame["window"] is None:
            self.windows.pop(scope, None)
            self.moment.drop(scope)
            return
        self.windows[scope] = self._window(frame["window"], frame["seq"])
        for event in missed:
            self.apply_event(event)

    def apply_page(self, frame: JSON) -> None:
        """Older entities of a long type: they lower the window's bound."""
        scope, missed = frame["scope"], self._replay.pop(frame["scope"], None)
        window = self.windows.get(scope)
        if window is None or missed is None:
            return
        window.bounds[frame["entity"]] = frame["bound"]
        for data in frame["items"]:
            window.entities.setdefault((frame["entity"], data["id"]), data)
        for event in missed:
            if event["seq"] > frame["seq"]:
                for op in event["ops"]:
                    self._apply(window, op, event["seq"])

    # -- comparing --------------------------------------------------------------------------------------------------

    def bounds(self) -> dict[str, dict[str, list[Any] | None]]:
        """The client's own lower bounds, to ask a snapshot with."""
        return {scope: dict(window.bounds) for scope, window in self.windows.items() if window.bounds}

    def canonical(self) -> JSON:
        """Content alone, without positions: equal for two stores that show the same."""
        return {
            scope: {
                "bounds": dict(sorted(window.bounds.items())),
                "entities": {f"{t}:{i}": data for (t, i), data in sorted(window.entities.items(), key=_sortable)},
            }
            for scope, window in sorted(self.windows.items())
        }

    # -- inside -----------------------------------------------------------------------------------------------------

    def _window(self, data: JSON | None, at: int) -> Window:
        if data is None:
            return Window(at=at, bounds={}, entities={}, stale=True, missing=True)
        entities = {(t, row["id"]): row for t, rows in data["entities"].items() for row in rows}
        return Window(at=at, bounds=dict(data["bounds"]), entities=entities)

    def _apply(self, window: Window, op: JSON, seq: int) -> None:
        match op["op"]:
            case "upsert":
                key = (op["type"], op["id"])
                bound = window.bounds.get(op["type"])
                if bound is not None and self._key(op["type"], op["data"]) < bound:
                    window.entities.pop(key, None)
                else:
                    window.entities[key] = op["data"]
            case "remove":
                window.entities.pop((op["type"], op["id"]), None)
            case "stale":
                window.stale = True
            case "enter" if not self._is_behind(op["scope"], seq):
                self.windows[op["scope"]] = self._window(op["window"], seq)
                self._replay.pop(op["scope"], None)
            case "leave" if not self._is_behind(op["scope"], seq):
                self.windows.pop(op["scope"], None)
                self._replay.pop(op["scope"], None)
                self.moment.drop(op["scope"])

    def _is_behind(self, scope: str, seq: int) -> bool:
        """Whether an op about a scope is older than what is held of it: it came again behind a load."""
        window = self.windows.get(scope)
        return window is not None and window.at >= seq

    def _key(self, type_: str, data: JSON) -> list[Any]:
        order = self.orders.get(type_)
        return [data[order], data["id"]] if order else [data["id"]]


def _of_type(window: Window, type_: str) -> Iterator[JSON]:
    return (data for (t, _id), data in window.entities.items() if t == type_)


def _sortable(item: tuple[EntityKey, JSON]) -> tuple[str, str]:
    (type_, id_), _data = item
    return type_, str(id_)
