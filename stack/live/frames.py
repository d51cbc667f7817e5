"""Frames of the live protocol: what a server writes and what it accepts. See docs/live-protocol.md."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from stack.live.log import LogEntry, Position, encode

SUBPROTOCOL = "live.v1"
HELLO_WITHIN = 5.0
HEARTBEAT = 25.0

_MOST_SEQ = 2**63 - 1
_MOST_TEXT = 200


class Close(enum.IntEnum):
    """Why a socket is ended. Beside these: what the server below finds wrong with a frame (1002, 1007, 1009, 1011)."""

    RESTART = 1012
    FULL = 1013
    MALFORMED = 4400
    SIGNED_OUT = 4401
    UNKNOWN_TYPE = 4404
    NO_HELLO = 4408
    RESUME = 4409
    TOO_OFTEN = 4420
    TOO_MANY = 4421
    TOO_SLOW = 4429


class ProtocolError(Exception):
    """A frame that the protocol does not know; ``code`` is what the socket closes with."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Hello:
    """The first frame: what the client is complete up to, None for nothing."""

    cursor: Position | None


@dataclass(frozen=True)
class Load:
    """Asks for one scope anew."""

    id: int
    scope: str


@dataclass(frozen=True)
class Page:
    """Asks for entities of a long type that lie below ``before``, an order key and id."""

    id: int
    scope: str
    entity: str
    before: tuple[Any, Any]


@dataclass(frozen=True)
class Signal:
    """Says something of the moment to whoever holds a scope; there is no answer."""

    scope: str
    signal: str


Question: TypeAlias = Load | Page
Request: TypeAlias = Hello | Question | Signal


def parse(text: str | None) -> Request:
    """A client's frame.

    Raises:
        ProtocolError: it is no JSON object, of an unknown type, or its fields are off.
    """
    if text is None:
        raise ProtocolError(Close.MALFORMED, "frames are text")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(Close.MALFORMED, "the frame is no JSON") from error
    if not isinstance(frame, dict):
        raise ProtocolError(Close.MALFORMED, "the frame is no JSON object")
    match frame.get("type"):
        case "hello":
            return Hello(_cursor(frame.get("cursor")))
        case "load":
            return Load(_integer(frame, "id"), _text(frame, "scope"))
        case "page":
            return Page(_integer(frame, "id"), _text(frame, "scope"), _text(frame, "entity"), _key(frame))
        case "signal":
            return Signal(_text(frame, "scope"), _text(frame, "signal"))
        case str():
            raise ProtocolError(Close.UNKNOWN_TYPE, "unknown type of frame")
        case _:
            raise ProtocolError(Close.MALFORMED, "the frame has no type")


def welcome(user: int, head: Position, *, resumed: bool, orders: Mapping[str, str]) -> str:
    """The answer to a hello; a snapshot or the missed events follow, then a heartbeat that says all is there."""
    return encode(
        {
            "type": "welcome",
            "user": user,
            "epoch": head.epoch,
            "seq": head.seq,
            "resumed": resumed,
            "heartbeat": HEARTBEAT,
            "orders": orders,
        }
    )


def event(entry: LogEntry, *, entering: Container[str] | None = None) -> str:
    """An event's frame; its ops are encoded already.

    Args:
        entering: where an event is replayed, the scopes that the user holds by now: what came of any other is withheld.
    """
    ops = _for_clients(entry.ops, entering) if entry.control else entry.ops
    return f'{{"type":"event","seq":{entry.seq},"scope":{encode(entry.scope)},"prev":{entry.prev},"ops":{ops}}}'


def _for_clients(ops: str, entering: Container[str] | None) -> str:
    # An op that closes sockets names a session: it is for hubs alone.
    kept = [op for op in json.loads(ops) if op["op"] != "close"]
    if entering is not None:
        kept = [op for op in kept if op["op"] != "enter" or op["scope"] in entering]
    return encode(kept)


def heartbeat(position: Position) -> str:
    """The client has everything up to here; only a seq that the hub verified may stand in it."""
    return encode({"type": "heartbeat", "epoch": position.epoch, "seq": position.seq})


def signal(scope: str, name: str, user: int) -> str:
    """Somebody says something of the moment."""
    return encode({"type": "signal", "scope": scope, "signal": name, "user": user})


def present(count: int, users: Collection[int]) -> str:
    """Who is in one scope: what `presence` takes."""
    return encode({"count": count, "users": users})


def presence(scopes: Mapping[str, str]) -> str:
    """Who is in some scopes, each encoded by `present`."""
    return '{"type":"presence","scopes":{' + ",".join(f"{encode(s)}:{text}" for s, text in scopes.items()) + "}}"


def _cursor(value: Any) -> Position | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ProtocolError(Close.MALFORMED, "the cursor is no object")
    return Position(_text(value, "epoch"), _integer(value, "seq"))


def _integer(frame: Mapping[str, Any], name: str) -> int:
    value = frame.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_SEQ:
        raise ProtocolError(Close.MALFORMED, f"{name} is no whole number in range")
    return value


def _text(frame: Mapping[str, Any], name: str) -> str:
    value = frame.get(name)
    # Postgres holds no NUL and no lone surrogate; a scope or type with one cannot exist.
    if not isinstance(value, str) or not 0 < len(value) <= _MOST_TEXT or re.search("[\0\ud800-\udfff]", value):
        raise ProtocolError(Close.MALFORMED, f"{name} is no text of 1 to {_MOST_TEXT} characters")
    return value


def _key(frame: Mapping[str, Any]) -> tuple[Any, Any]:
    value = frame.get("before")
    if not isinstance(value, list) or len(value) != 2:
        raise ProtocolError(Close.MALFORMED, "before is no pair of order key and id")
    return (_integer({"before": value[0]}, "before"), _integer({"before": value[1]}, "before"))
