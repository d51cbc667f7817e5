"""The client side of the live protocol: store and connection without I/O, and their drivers."""

from __future__ import annotations

from harness.live.connection import LiveConnection, ProtocolViolation, Reaction, State
from harness.live.store import Applied, Counts, Cursor, LiveStore, Window
from harness.live.sync import SyncLive

__all__ = [
    "Applied",
    "Counts",
    "Cursor",
    "LiveConnection",
    "LiveStore",
    "ProtocolViolation",
    "Reaction",
    "State",
    "SyncLive",
    "Window",
]
