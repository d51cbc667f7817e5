"""The client side of the live protocol: store and connection without I/O, and their drivers."""

from __future__ import annotations

from harness.live.aio import AsyncLive
from harness.live.connection import LiveConnection, ProtocolViolation, Reaction, State
from harness.live.moment import Presence
from harness.live.store import Applied, Counts, Cursor, LiveStore, Window
from harness.live.swarm import Swarm, SwarmCounts
from harness.live.sync import SyncLive

__all__ = [
    "Applied",
    "AsyncLive",
    "Counts",
    "Cursor",
    "LiveConnection",
    "LiveStore",
    "Presence",
    "ProtocolViolation",
    "Reaction",
    "State",
    "Swarm",
    "SwarmCounts",
    "SyncLive",
    "Window",
]
