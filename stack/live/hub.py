"""The hub: the one per server process that receives events once and writes them to that process's sockets.

Batches arrive through the Channels layer; the head is polled once a second, so a lost batch or a missing Redis costs a
second, never an event. A hole in seq is seen at once and read from Postgres. The ring holds the newest events, so that
clients which reconnect after a moment cost no query of the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn
from weakref import WeakValueDictionary

import redis
from channels.layers import get_channel_layer
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.utils import DatabaseError, InterfaceError

from stack.live import frames, log
from stack.live.background import go_on
from stack.live.connection import Connection
from stack.live.db import readers, repeatable_read, urgent
from stack.live.frames import Close
from stack.live.gossip import GROUP as GOSSIP
from stack.live.gossip import Gossip
from stack.live.identity import Authenticator, Identity
from stack.live.log import LogEntry, Op, Position
from stack.live.registry import registry
from stack.live.relay import GROUP
from stack.live.ring import MOST_BYTES, Ring
from stack.live.roster import Roster
from stack.live.scopes import EVERYONE, user_scope
from stack.live.signals import KIND as SIGNALS
from stack.live.signals import Signals
from stack.live.snapshot import read_snapshot

logger = logging.getLogger(__name__)

RING = 5000
MOST_REPLAYED = 2000
MOST_BYTES_REPLAYED = 4 * 1024 * 1024
"""Of missed events' ops; a snapshot is shorter, as it holds what changed often once."""

_POLL = 1.0
_RETRY = 0.5
_REACH_WITHIN = 5.0
_BATCH_LIKELY_WITHIN = 0.05
_READ_AT_ONCE, _BYTES_AT_ONCE = 1000, 4 * 1024 * 1024


class NotReady(Exception):
    """The hub cannot serve a socket now: it does not know the log, or the log moved away below it."""


class Hub:
    """Events in, sockets out. Everything but the queries happens on one event loop, so nothing needs a lock.

    Args:
        ring: how many of the newest events to hold.

    Attributes:
        position: up to here every event was given to every socket that may see it; None before the log is known.
    """

    def __init__(self, *, ring: int = RING) -> None:
        self.position: Position | None = None
        self.roster = Roster()
        self.signals = Signals(holders=self.roster.holders, position=lambda: self.position)
        self.roster.watcher = self.signals
        self.authenticator = Authenticator()
        self._ring = Ring(ring)
        self._behind = asyncio.Event()
        self._moved = asyncio.Event()
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._tasks: list[asyncio.Task[None]] = []
        self._gossip = Gossip(self.signals)

    async def start(self) -> None:
        """Fill the ring and follow the log; without Postgres, go on trying in the background."""
        with contextlib.suppress(DatabaseError, InterfaceError):
            await self._catch_up()
        self._tasks = [go_on(work) for work in (self._listen, self._poll, self._beat)]
        self._gossip.start()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._gossip.stop()

    # -- following the log -----------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        layer = get_channel_layer()
        assert layer is not None
        while True:
            try:
                await self._hear(layer)
            except (redis.RedisError, OSError) as error:
                logger.warning("hub: no batches, Redis is away: %s", error)
                # A channel that nobody reads would go on filling, also one that was made in part and has no name yet.
                await layer.flush()
                await asyncio.sleep(_RETRY)

    async def _hear(self, layer: Any) -> NoReturn:
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        await layer.group_add(GOSSIP, channel)
        told = False
        while True:
            try:
                message = await layer.receive(channel)
                if message["type"] == SIGNALS:
                    self.signals.receive(message)
                else:
                    self._receive(message)
            except (redis.RedisError, OSError):
                raise
            except Exception as error:
                # Whatever a process of another version may say, the log has it.
                self._behind.set()
                if not told:
                    logger.warning("hub: a message is not understood: %s: %s", type(error).__name__, error)
                told = True

    def _receive(self, message: dict[str, Any]) -> None:
        if self.position is None or message["epoch"] != self.position.epoch:
            self._behind.set()
            return
        # All of them before the first is given to anybody.
        self._advance([LogEntry(*event) for event in message["events"]])
        if self.position.seq < message["seq"]:
            self._behind.set()

    async def _poll(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._behind.wait(), _POLL)
            self._behind.clear()
            try:
                await self._catch_up()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("hub: Postgres is away: %s", str(error).partition("\n")[0])
                await asyncio.sleep(_RETRY)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(frames.HEARTBEAT)
            self.roster.close_overdue(time.monotonic())
            if self.position is not None:
                self.roster.push_to_all(frames.heartbeat(self.position))
            self.signals.beat()

    async def _catch_up(self) -> None:
        """Read what is missing up to the head; where that cannot be had, every client resumes."""
        while True:
            known = self.position
            head, entries = await urgent.run(_read_log, known, self._ring.most)
            if head.epoch == "" or self.position is not known:
                # No log yet; or batches came in meanwhile and the next poll will judge by what they brought.
                return
            if known is None:
                self._begin(head, entries)
            elif head.epoch != known.epoch or head.seq < known.seq:
                if head.epoch == known.epoch:
                    # It was restored to an older state. The relays may be new and not know that it was ever further.
                    head = await urgent.run(_end_life, head.epoch)
                self._begin(head, [], reason="the log is another one")
            elif head.seq == known.seq:
                return
            elif not entries or entries[0].seq != known.seq + 1:
                self._begin(head, [], reason="events behind what is known are gone")
            else:
                self._advance(entries)

    def _begin(self, head: Position, entries: list[LogEntry], *, reason: str | None = None) -> None:
        if reason is not None:
            logger.warning("hub: %s; all clients resume", reason)
            self.roster.close_all(Close.RESUME)
            self.signals.began()
        self._ring.begin(entries)
        self._move(head)

    def _advance(self, entries: Iterable[LogEntry]) -> None:
        """Take events in order. What is known is dropped; at a hole it stops, and the hole is read."""
        assert self.position is not None
        epoch, seq = self.position.epoch, self.position.seq
        for entry in entries:
            if entry.seq <= seq:
                continue
            if entry.seq > seq + 1:
                self._behind.set()
                break
            seq = entry.seq
            self._ring.append(entry)
            self.roster.deliver(entry)
        if seq != self.position.seq:
            self._move(Position(epoch, seq))

    def _move(self, position: Position) -> None:
        self.position = position
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _reach(self, wanted: Position) -> None:
        """Wait until this hub has every event up to a position that was read from the database."""
        patience = _BATCH_LIKELY_WITHIN
        try:
            async with asyncio.timeout(_REACH_WITHIN):
                while self.position is None or self.position.epoch != wanted.epoch or self.position.seq < wanted.seq:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(patience):
                            await self._moved.wait()
                            continue
                    self._behind.set()
                    patience = _POLL
        except TimeoutError as error:
            raise NotReady("the log is not known yet") from error

    # -- sockets ---------------------------------------------------------------------------------------------------

    def turn_of(self, user: int) -> asyncio.Lock:
        """One answer a user at a time, however many sockets ask: the threads are there for everybody."""
        turn = self._turns.get(user)
        if turn is None:
            turn = self._turns[user] = asyncio.Lock()
        return turn

    async def join(self, socket: Connection, identity: Identity, cursor: Position | None) -> None:
        """Bring a socket up to date, from its cursor or with a snapshot, and keep it so.

        Raises:
            NotReady: the hub cannot serve it now.
            DatabaseError: Postgres is away.
        """
        await self._reach(identity.at)
        if cursor is not None and cursor.epoch == identity.at.epoch and cursor.seq <= identity.at.seq:
            older = await self._older(identity, cursor)
            if older is not None:
                self._attach(socket, identity, cursor, older)
                return
        async with self.turn_of(identity.user):
            at, snapshot = await readers.run(_read_snapshot, identity.user)
        if at.epoch != identity.at.epoch:
            # Another database may lie below: who this user is there has not been asked yet.
            raise NotReady("the log is another one")
        await self._reach(at)
        self._attach(socket, identity, at, [], snapshot=snapshot)

    @property
    def _floor(self) -> int:
        """The ring holds every event after this seq."""
        assert self.position is not None
        floor = self._ring.floor
        return self.position.seq if floor is None else floor

    async def _older(self, identity: Identity, cursor: Position) -> list[LogEntry] | None:
        """What a client missed before the ring begins; None where a snapshot is shorter or the events are gone."""
        entries: list[LogEntry] = []
        read_to = cursor.seq
        while read_to < (floor := self._floor):
            async with self.turn_of(identity.user):
                more = await readers.run(_read_missed, identity.scopes, Position(cursor.epoch, read_to), floor)
            if more is None or len(entries) + len(more) > MOST_REPLAYED:
                return None
            entries += more
            read_to = floor
        missed = [*entries, *(entry for entry in self._ring.after(read_to) if entry.scope in identity.scopes)]
        if sum(len(entry.ops) for entry in missed) > MOST_BYTES_REPLAYED:
            return None
        own = user_scope(identity.user)
        return None if any(op["op"] == "anew" for _, op in _access(own, missed)) else entries

    def _attach(
        self,
        socket: Connection,
        identity: Identity,
        since: Position,
        older: list[LogEntry],
        *,
        snapshot: str | None = None,
    ) -> None:
        """Replay what lies behind ``since`` and follow from here; nothing can come in between."""
        position = self.position
        if position is None or position.epoch != since.epoch or self._floor > identity.at.seq:
            raise NotReady("the log moved on while the socket was brought up to date")
        own = user_scope(identity.user)
        # Up to identity.at the stored memberships speak; behind it, the ops that have come in since.
        recent = list(self._ring.after(min(since.seq, identity.at.seq)))
        held, entered = set(identity.scopes), {}
        for entry, op in _access(own, (*older, *recent)):
            if op["op"] == "enter":
                entered[op["scope"]] = entry.seq
            if entry.seq <= identity.at.seq:
                continue
            if op["op"] == "enter":
                held.add(op["scope"])
            elif op["op"] == "leave":
                held.discard(op["scope"])
            elif op["op"] == "anew":
                raise NotReady("too much changed for this user while the socket was brought up to date")
            elif op["op"] == "close" and op["session"] in (None, identity.session):
                socket.close(Close.SIGNED_OUT)
                return
        socket.push(
            frames.welcome(identity.user, since, resumed=snapshot is None, orders=registry.orders),
            counted=False,
        )
        if snapshot is not None:
            socket.push(snapshot, counted=False)
        for entry in (*older, *recent):
            mine = entry.scope in (own, EVERYONE)
            if entry.seq > since.seq and (mine or (entry.scope in held and entry.seq > entered.get(entry.scope, 0))):
                socket.push(frames.event(entry, entering=held), counted=False)
        socket.push(frames.heartbeat(position))
        self.roster.add(socket, held)


def _access(own: str, entries: Iterable[LogEntry]) -> Iterator[tuple[LogEntry, Op]]:
    """What events say of a user's access; ``own`` is the user's own scope."""
    for entry in entries:
        if entry.control and entry.scope == own:
            for op in json.loads(entry.ops):
                yield entry, op


def _read_log(known: Position | None, ring: int) -> tuple[Position, list[LogEntry]]:
    """The head, and the events behind what is known (the newest ones if nothing is)."""
    with repeatable_read(read_only=True) as cursor:
        head = log.read_head(cursor)
        if known is not None and (head == known or head.epoch != known.epoch):
            return head, []
        if known is not None:
            until = min(head.seq, _next_until(cursor, known.seq))
            return head, log.read_events(cursor, after=known.seq, until=until, limit=_READ_AT_ONCE)
        after = _newest_after(cursor, max(0, head.seq - ring))
        return head, log.read_events(cursor, after=after, until=head.seq, limit=ring)


def _newest_after(cursor: CursorWrapper, seq: int) -> int:
    """The seq, or the next one after which no more is kept than a ring holds."""
    cursor.execute(
        "SELECT max(seq) FROM (SELECT seq, sum(octet_length(ops)) OVER (ORDER BY seq DESC) AS bytes"
        " FROM live_event WHERE seq > %s) AS newest WHERE bytes > %s",
        [seq, MOST_BYTES],
    )
    row = cursor.fetchone()
    return seq if row is None or row[0] is None else row[0]


def _next_until(cursor: CursorWrapper, seq: int) -> int:
    """The seq up to which the next events are as many as are read at once; one at least, however large."""
    cursor.execute(
        "SELECT max(seq) FILTER (WHERE bytes <= %s) FROM ("
        " SELECT seq, sum(octet_length(ops)) OVER (ORDER BY seq) AS bytes"
        " FROM (SELECT seq, ops FROM live_event WHERE seq > %s ORDER BY seq LIMIT %s) AS next) AS sums",
        [_BYTES_AT_ONCE, seq, _READ_AT_ONCE],
    )
    row = cursor.fetchone()
    return seq + 1 if row is None or row[0] is None else int(row[0])


def _read_snapshot(user: int) -> tuple[Position, str]:
    """Where the log stands, and the frame: megabytes, which the event loop has no time to encode."""
    snapshot = read_snapshot(user)
    return Position(snapshot["epoch"], snapshot["seq"]), log.encode(snapshot)


def _end_life(epoch: str) -> Position:
    """Begin a new life of the log, unless somebody has done so already."""
    with connection.cursor() as cursor:
        log.begin_new_life(cursor, instead_of=epoch)
        return log.read_head(cursor)


def _read_missed(scopes: frozenset[str], since: Position, until: int) -> list[LogEntry] | None:
    """The events of some scopes; None if there are too many, they are no longer kept, or the log is another one."""
    with repeatable_read(read_only=True) as cursor:
        # Another database may lie below, where these scopes are not this user's.
        if log.read_head(cursor).epoch != since.epoch:
            return None
        oldest = log.oldest_seq(cursor)
        if oldest is None or oldest > since.seq + 1:
            return None
        cursor.execute(
            "SELECT count(*), sum(octet_length(ops)) FROM (SELECT ops FROM live_event"
            " WHERE seq > %s AND seq <= %s AND scope = ANY(%s) ORDER BY seq LIMIT %s) AS missed",
            [since.seq, until, list(scopes), MOST_REPLAYED + 1],
        )
        count, size = cursor.fetchone()
        if count > MOST_REPLAYED or (size or 0) > MOST_BYTES_REPLAYED:
            return None
        return log.read_events(cursor, after=since.seq, until=until, scopes=scopes, limit=MOST_REPLAYED)
