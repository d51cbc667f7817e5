"""One client's side of the live protocol, without I/O: frames in, frames out, and what to do when it ends."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from harness.live.store import JSON, LiveStore

SUBPROTOCOL = "live.v1"
SIGNED_OUT = 4401
RESUME_AT_ONCE = frozenset({4409, 1012})
ASKED_TOO_MUCH = frozenset({4420, 4421})
OUR_FAULT = frozenset({4400, 4404, 1009})
MOST_LOADS = 4
"""Loads that are out at once: a server answers one after the other, and pages of what is looked at go between them."""
LOAD_SPREAD = 1.0
"""Seconds over which the clients of a scope that is stale for all of them spread their loads."""

_FIRST_DELAY, _LONGEST_DELAY = 0.1, 10.0


class State(enum.Enum):
    """Where a client stands; ``LIVE`` means that it has everything up to the server's last word."""

    OFFLINE = "offline"
    GREETING = "greeting"
    CATCHING_UP = "catching up"
    LIVE = "live"
    SIGNED_OUT = "signed out"
    FAILED = "failed"


class ProtocolViolation(Exception):
    """The server sent what the protocol does not allow here; or it says that we did."""


@dataclass(frozen=True)
class Reaction:
    """What a frame calls for: frames to send, and whether to reconnect at once because events are missing."""

    send: tuple[str, ...] = ()
    resume: bool = False


class LiveConnection:
    """Keeps a store in step over any transport. The transport tells it what happens and does what it says.

    Args:
        store: kept over reconnects; its clock is the connection's.
        random: for jitter.
        on_applied: called with every event that was no hole.
    """

    def __init__(
        self,
        store: LiveStore,
        *,
        random: Random | None = None,
        on_applied: Callable[[JSON], None] = lambda _frame: None,
    ) -> None:
        self.store = store
        self.state = State.OFFLINE
        self.heartbeat = 25.0
        self.resumes = 0
        self.snapshots = 0
        self._random = random or Random()  # noqa: S311 - jitter
        self._on_applied = on_applied
        self._failures = 0
        self._next_id = 0
        self._asked: dict[str, int] = {}
        self._loads_at: dict[str, float] = {}
        self._loads_out: set[int] = set()

    def opened(self) -> tuple[str, ...]:
        """The transport is open: what to send. Signing in again, or mending a fault, is the caller's to know."""
        self._expect(State.OFFLINE, State.SIGNED_OUT, State.FAILED)
        self.state = State.GREETING
        self._forget_questions()
        cursor = self.store.cursor
        return (_encode({"type": "hello", "cursor": cursor.to_json() if cursor else None}),)

    def received(self, text: str) -> Reaction:
        """A frame came in.

        Raises:
            ProtocolViolation: it has no place here.
        """
        frame = json.loads(text)
        match frame["type"]:
            case "welcome":
                self._welcome(frame)
            case "snapshot":
                self._expect(State.CATCHING_UP)
                self.store.apply_snapshot(frame)
            case "event":
                self._expect(State.CATCHING_UP, State.LIVE)
                applied = self.store.apply_event(frame)
                if applied.hole:
                    # Nothing more may come over this connection: it would move the cursor past the hole.
                    self.state = State.OFFLINE
                    return Reaction(resume=True)
                self._on_applied(frame)
            case "heartbeat":
                self._expect(State.CATCHING_UP, State.LIVE)
                self.store.apply_heartbeat(frame)
                self.state = State.LIVE
                self._failures = 0
            case "scope":
                self._loads_out.discard(frame["id"])
                if self._is_asked(frame):
                    self.store.apply_scope(frame)
            case "page" if self._is_asked(frame):
                self.store.apply_page(frame)
            case "signal":
                self.store.apply_signal(frame)
            case "presence":
                self.store.apply_presence(frame)
            case _:
                # An answer that nobody waits for any more, or of a newer server.
                pass
        return Reaction(send=self.due())

    def due(self) -> tuple[str, ...]:
        """The frames to send by now, beside those of reactions: loads of stale scopes, after their delay."""
        if self.state is not State.LIVE:
            return ()
        now, stale = self.store.clock(), self.store.stale
        self._loads_at = {scope: at for scope, at in self._loads_at.items() if scope in stale}
        for scope in sorted(stale - self._loads_at.keys()):
            if not self.store.expects(scope):
                self._loads_at[scope] = now + self._load_delay(scope)
        ready = sorted((at, scope) for scope, at in self._loads_at.items() if at <= now)
        free = MOST_LOADS - len(self._loads_out)
        ready = [(at, scope) for at, scope in ready if not self.store.expects(scope)]
        return tuple(self._load(scope) for _at, scope in ready[: max(0, free)])

    def wake_in(self) -> float | None:
        """Seconds until `due` has something, or a signal of the store ends; None for never."""
        if self.state is not State.LIVE:
            return None
        now = self.store.clock()
        waits = [] if (ends := self.store.moment.ends_in(now)) is None else [ends]
        if len(self._loads_out) < MOST_LOADS:
            waits += [at - now for scope, at in self._loads_at.items() if not self.store.expects(scope)]
        return max(0.0, min(waits)) if waits else None

    def signal(self, scope: str, name: str) -> str | None:
        """The frame that tells whoever holds a scope something of the moment, such as ``typing``; None while that is in
        vain. Servers drop more than a few in a row, so say it once in some seconds for as long as it is true.
        """
        if self.state is not State.LIVE or scope not in self.store.windows:
            return None
        return _encode({"type": "signal", "scope": scope, "signal": name})

    def closed(self, code: int) -> float | None:
        """The transport is gone.

        Returns:
            Seconds to wait before connecting again, or None if that would be in vain.
        """
        self._forget_questions()
        if code == SIGNED_OUT:
            self.state = State.SIGNED_OUT
            return None
        if code in OUR_FAULT:
            self.state = State.FAILED
            return None
        self.state = State.OFFLINE
        self._failures += 1
        if code in ASKED_TOO_MUCH:
            return self._random.uniform(_LONGEST_DELAY / 2, _LONGEST_DELAY)
        if code in RESUME_AT_ONCE and self._failures == 1:
            return self._random.uniform(0, _FIRST_DELAY)
        return self._random.uniform(0, min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(self._failures, 10)))

    def page(self, scope: str, entity: str) -> str | None:
        """The frame that asks for older entities; None where everything is held or an answer is still out."""
        window = self.store.windows.get(scope)
        before = None if window is None else window.bounds.get(entity)
        if before is None or self.store.expects(scope):
            return None
        self.store.expect(scope)
        return self._request({"type": "page", "scope": scope, "entity": entity, "before": before})

    def _load_delay(self, scope: str) -> float:
        """Nobody shares one's own scope, and a scope that was entered without its window is entered by few at once."""
        if self.store.windows[scope].missing or scope.startswith("user:"):
            return 0.0
        return self._random.uniform(0, LOAD_SPREAD)

    def _load(self, scope: str) -> str:
        del self._loads_at[scope]
        self.store.expect(scope)
        frame = self._request({"type": "load", "scope": scope})
        self._loads_out.add(self._next_id)
        return frame

    def _forget_questions(self) -> None:
        self.store.expect_nothing()
        self._asked.clear()
        self._loads_at.clear()
        self._loads_out.clear()

    def _is_asked(self, frame: JSON) -> bool:
        """Whether this answers the last question about its scope: one that was left and entered is asked anew."""
        return bool(self._asked.get(frame["scope"]) == frame["id"])

    def _request(self, frame: JSON) -> str:
        self._next_id += 1
        self._asked[frame["scope"]] = self._next_id
        return _encode({**frame, "id": self._next_id})

    def _welcome(self, frame: JSON) -> None:
        self._expect(State.GREETING)
        if self.store.user not in (None, frame["user"]):
            raise ProtocolViolation(f"welcomed as user {frame['user']}, but the store is of user {self.store.user}")
        self.store.orders = frame["orders"]
        self.heartbeat = frame["heartbeat"]
        self.state = State.CATCHING_UP
        self.resumes += frame["resumed"]
        self.snapshots += not frame["resumed"]

    def _expect(self, *states: State) -> None:
        if self.state not in states:
            wanted = " or ".join(state.value for state in states)
            raise ProtocolViolation(f"a frame for a connection that is {wanted}, but it is {self.state.value}")


def _encode(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
