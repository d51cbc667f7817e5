"""What a hub tells its sockets and the other hubs of the moment: who is present, and signals such as typing.

Best effort, and the first to be left out: nothing of it is stored, a socket with much unread is passed over, and while
Redis is away or slow nothing piles up. No I/O here: `Gossip` carries the messages.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from stack.live import frames
from stack.live.connection import Connection
from stack.live.frames import Close, ProtocolError
from stack.live.log import Position
from stack.live.prepared import Prepared
from stack.live.presences import Presences
from stack.live.registry import registry

KIND = "live.signals"
GATHER = 0.25
"""Seconds over which who comes and goes is gathered: a reload is one change, and no change at all for most."""
CROWD = 250
"""For each so many sockets that are to be told it takes once more as long: telling must not be all that is done."""
BEAT = 10.0
MOST_UNREAD = 64 * 1024
"""Bytes that may wait for a socket; beyond, what is stored goes first."""
MOST_UNSENT = 500
"""Signals that may wait for a publish; beyond, they are dropped."""
RATE = 2.0
"""Signals a second of one user that are passed on in the long run: all devices, in all scopes."""
BURST = 10
PACE = 0.05
"""Seconds between two messages that hold signals: with many users they go in company."""
MOST_TOLD = 5000
"""Sockets a second that signals are written to; in a crowd that types, all of them would be all that a process does."""

_PAUSE = 1.0
_EVERYBODY = "*"


class Allowances:
    """Signals that each user may still send. Who has not sent one for long costs nothing."""

    def __init__(self) -> None:
        self._due: dict[int, float] = {}
        self._look_at = 0.0

    def take(self, user: int, now: float) -> bool:
        """Count one more, if it is within RATE and BURST; whether it is."""
        if now >= self._look_at:
            self._due = {user: due for user, due in self._due.items() if due > now - BURST / RATE}
            self._look_at = now + BURST / RATE
        due = max(self._due.get(user, 0.0), now - BURST / RATE) + 1 / RATE
        if due > now:
            return False
        self._due[user] = due
        return True


class Signals:
    """Presence and signals of one hub.

    Args:
        holders: the sockets of this process that hold a scope.
        position: where this hub stands in the log; None before it knows.
        clock: monotonic, in seconds.

    Attributes:
        hub: this hub's name among the others; a new one at each start.
        on_sockets: called when there is something to tell sockets.
        on_hubs: called when there is something to tell the other hubs.
    """

    def __init__(
        self,
        *,
        holders: Callable[[str], Collection[Connection]],
        position: Callable[[], Position | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hub = secrets.token_hex(8)
        self.presences = Presences()
        self.on_sockets: Callable[[], object] = lambda: None
        self.on_hubs: Callable[[], object] = lambda: None
        self._holders = holders
        self._position = position
        self._clock = clock
        self._allowances = Allowances()
        # To sockets: changed scopes and when to tell of them, what they were told last, and who is to be told what.
        self._due: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._owed: dict[Connection, set[str]] = {}
        self._owed_at = 0.0
        self._passed_over: set[Connection] = set()
        self._signals_due = float("-inf")
        # To hubs: when to tell of changes, to tell everything, to ask; and signals.
        self._changes_at: float | None = None
        self._whole_at: float | None = None
        self._wholes_told_at = float("-inf")
        self._ask: set[str] = {_EVERYBODY}
        self._ask_at = float("-inf")
        self._beat_at = float("-inf")
        self._quiet_until = float("-inf")
        self._unsent: dict[tuple[str, str, int], None] = {}
        self._unsent_at = float("-inf")

    # -- what the roster and the log tell --------------------------------------------------------------------------

    def held(self, socket: Connection, scope: str) -> None:
        """A socket holds one more scope."""
        if not registry.has_presence(scope):
            return
        if not self._owed:
            self._owed_at = self._clock() + GATHER
        self._owed.setdefault(socket, set()).add(scope)
        self.presences.came(socket.user, scope)
        self._changed()
        self.on_sockets()

    def dropped(self, socket: Connection, scope: str) -> None:
        """A socket holds a scope no longer."""
        if not registry.has_presence(scope):
            return
        if scope in (owed := self._owed.get(socket, set())):
            owed.remove(scope)
        self.presences.went(socket.user, scope)
        self._changed()
        if not self._holders(scope):
            self._due.pop(scope, None)
            self._told.pop(scope, None)

    def removed(self, socket: Connection) -> None:
        """A socket has gone, with all of its scopes."""
        self._owed.pop(socket, None)
        self._passed_over.discard(socket)

    def left(self, user: int, scope: str, seq: int) -> None:
        """The log says that a user sees a scope no longer."""
        if not registry.has_moment(scope):
            return
        self.presences.left(user, scope, seq=seq, now=self._clock())
        self._changed()

    def entered(self, user: int, scope: str) -> None:
        """The log says that a user sees a scope."""
        self.presences.entered(user, scope)

    def began(self) -> None:
        """The log is another one: its numbers say nothing of those before."""
        self.presences.believe_all()

    # -- signals of clients ----------------------------------------------------------------------------------------

    def signalled(self, socket: Connection, scope: str, name: str) -> None:
        """Pass a client's signal on to whoever holds the scope, if the client does.

        Raises:
            ProtocolError: no such signal is registered for the scope.
        """
        if not registry.has_signal(name, scope):
            raise ProtocolError(Close.MALFORMED, "no signal of this scope")
        now = self._clock()
        # A scope that was lost a moment ago is no fault of the client.
        if scope not in socket.scopes or not self._allowances.take(socket.user, now):
            return
        self._pass_on(scope, name, socket.user)
        if now >= self._quiet_until and len(self._unsent) < MOST_UNSENT:
            self._unsent[scope, name, socket.user] = None
            self.on_hubs()

    def _pass_on(self, scope: str, name: str, user: int) -> None:
        holders, now = self._holders(scope), self._clock()
        due = max(self._signals_due, now - 1.0) + len(holders) / MOST_TOLD
        if due > now:
            return
        self._signals_due = due
        text = Prepared(frames.signal(scope, name, user))
        for socket in holders:
            if socket.user != user and socket.waiting <= MOST_UNREAD:
                socket.push(text)

    # -- to sockets ------------------------------------------------------------------------------------------------

    @property
    def sockets_at(self) -> float | None:
        """When sockets have to be told something; None for nothing."""
        owed = [self._owed_at] if self._owed else []
        return min((*self._due.values(), *owed), default=None)

    def tell_sockets(self) -> None:
        """Tell of the scopes that changed, and those who hold new ones of these."""
        now = self._clock()
        said: dict[str, str] = {}
        for scope in [scope for scope, due in self._due.items() if due <= now]:
            del self._due[scope]
            self._tell_all(scope, self._say(scope, said))
        if not self._owed or self._owed_at > now:
            return
        owed, self._owed = self._owed, {}
        for socket, scopes in owed.items():
            # What is about to be told to all of a scope is not told twice.
            if later := scopes & self._due.keys():
                self._owed[socket] = later
            self._tell(socket, scopes - later, said)
        self._owed_at = now + GATHER

    def beat(self) -> None:
        """At a heartbeat: tell all to the sockets that were passed over, if they have read on."""
        passed_over, self._passed_over = self._passed_over, set()
        for socket in passed_over:
            self._tell(socket, {scope for scope in socket.scopes if registry.has_presence(scope)}, {})

    def _tell_all(self, scope: str, said: str) -> None:
        if self._told.get(scope) == said:
            return
        self._told[scope] = said
        text = Prepared(frames.presence({scope: said}))
        for socket in self._holders(scope):
            if scope in self._owed.get(socket, ()):
                continue
            if socket.waiting > MOST_UNREAD:
                self._passed_over.add(socket)
            else:
                socket.push(text)

    def _tell(self, socket: Connection, scopes: Collection[str], said: dict[str, str]) -> None:
        if not scopes:
            return
        if socket.waiting > MOST_UNREAD:
            self._passed_over.add(socket)
        else:
            # However much it is, it says nothing about how fast the client reads.
            socket.push(frames.presence({scope: self._say(scope, said) for scope in scopes}), counted=False)

    def _say(self, scope: str, said: dict[str, str]) -> str:
        if scope not in said:
            count, users = self.presences.of(scope)
            said[scope] = frames.present(count, users)
        return said[scope]

    # -- to and from hubs ------------------------------------------------------------------------------------------

    @property
    def hubs_at(self) -> float:
        """When the other hubs have to be told something."""
        due = [
            self._beat_at,
            self.presences.forget_at,
            *(at for at in (self._changes_at, self._whole_at) if at is not None),
        ]
        if self._unsent:
            due.append(self._unsent_at)
        if self._ask:
            due.append(self._ask_at)
        return max(min(due), self._quiet_until)

    def take_message(self) -> dict[str, Any] | None:
        """What the other hubs have to be told now, as one message; None for nothing."""
        now = self._clock()
        if now < self.hubs_at:
            return None
        self.presences.forget(now)
        self._changed()
        if now < self.hubs_at:
            return None
        message: dict[str, Any] = {}
        if self._whole_at is not None and self._whole_at <= now:
            message["whole"] = self.presences.take_whole()
            self._wholes_told_at = now
            self._whole_at = self._changes_at = None
        elif self._changes_at is not None and self._changes_at <= now:
            message |= self.presences.take_changes()
            self._changes_at = None
        if self._ask and self._ask_at <= now:
            message["ask"] = sorted(self._ask)
            self._ask.clear()
            self._ask_at = now + _PAUSE
        if self._unsent and self._unsent_at <= now:
            message["signals"] = [list(key) for key in self._unsent]
            self._unsent.clear()
            self._unsent_at = now + PACE
        self._beat_at = now + BEAT
        return message | self._header()

    def farewell(self) -> dict[str, Any]:
        """The last message of this hub."""
        return self._header() | {"bye": True}

    def failed(self) -> None:
        """A message did not get out: the next one says everything; signals are of the past by then."""
        now = self._clock()
        self._quiet_until = now + _PAUSE
        self._whole_at = now
        self._ask.add(_EVERYBODY)

    def receive(self, message: Mapping[str, Any]) -> None:
        """Take another hub's message; one's own comes back too."""
        at, name, now = self._position(), message["hub"], self._clock()
        if name == self.hub:
            return
        if message.get("bye"):
            # Wherever it stood: it is no longer there.
            self.presences.hear(message, now)
            self._changed()
            return
        asked = message.get("ask", ())
        if self._whole_at is None and (self.hub in asked or _EVERYBODY in asked):
            self._whole_at = max(now, self._wholes_told_at + _PAUSE)
            self.on_hubs()
        if at is None or message["epoch"] != at.epoch or message["seq"] > at.seq:
            # That hub may know already that somebody here has lost a scope of which it speaks.
            incomplete = True
        else:
            incomplete = self.presences.hear(message, now)
            for scope, signal, user in message.get("signals", ()):
                if self.presences.may_be_in(scope, user, at=message["seq"]):
                    self._pass_on(scope, signal, user)
        if incomplete:
            self._ask.add(name)
            self.on_hubs()
        self._changed()

    def _header(self) -> dict[str, Any]:
        at = self._position() or Position("", 0)
        return {"type": KIND, "hub": self.hub, "n": self.presences.n, "epoch": at.epoch, "seq": at.seq}

    def _changed(self) -> None:
        """Note when sockets and hubs have to be told of what has changed by now."""
        now = self._clock()
        for scope in self.presences.changed:
            if holders := self._holders(scope):
                self._due.setdefault(scope, now + GATHER * (1 + len(holders) // CROWD))
        if self.presences.changed:
            self.presences.changed.clear()
            self.on_sockets()
        if self.presences.untold and self._changes_at is None:
            self._changes_at = now + GATHER
            self.on_hubs()
