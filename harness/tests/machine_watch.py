"""What one simulated client was told, checked frame by frame as it comes."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from dataclasses import dataclass, field

from harness.live import LiveStore
from harness.live.store import JSON

HIDDEN = re.compile(r"hidden-\d+")
"""In texts that were written, and deleted again, while somebody was away from the chat."""


@dataclass
class Watch:
    """Looks over one client's shoulder, on the client's own thread.

    Attributes:
        hidden: the marks of texts that nobody with this client's eyes may ever see.
        events: how many came in.
        wrongs: what the protocol does not allow, in words.
    """

    name: str
    hidden: Container[str]
    events: int = 0
    wrongs: list[str] = field(default_factory=list)
    _epoch: str = ""
    _seen: int = 0
    _holes: int = 0
    _left: dict[str, int] = field(default_factory=dict)

    def applied(self, store: LiveStore, frame: JSON) -> None:
        """An event came in and the store has dealt with it."""
        self.events += 1
        seq, scope = frame["seq"], frame["scope"]
        if store.epoch != self._epoch:
            self._epoch, self._seen = store.epoch, 0
        elif store.counts.holes == self._holes and seq <= self._seen:
            # Also over reconnects: a cursor stands at or behind the last event that came.
            self._wrong(f"event {seq} of {scope} came behind {self._seen}: once more, or out of order")
        self._seen, self._holes = max(self._seen, seq), store.counts.holes
        if scope in self._left:
            if scope in store.windows:
                # A snapshot has brought it back.
                del self._left[scope]
            else:
                self._wrong(f"event {seq} of {scope} came behind its leave at {self._left[scope]}")
        for op in frame["ops"]:
            if op["op"] == "leave":
                self._left[op["scope"]] = seq
            elif op["op"] == "enter":
                self._left.pop(op["scope"], None)
        self._look_into(json.dumps(frame), f"event {seq} of {scope}")

    def quiet(self, store: LiveStore) -> None:
        """Nothing comes in now: look at all that is held."""
        self._look_into(json.dumps(store.canonical()), "the store")
        if store.counts.holes:
            self._wrong(f"{store.counts.holes} holes: the server left events out")

    def _look_into(self, text: str, where: str) -> None:
        for mark in HIDDEN.findall(text):
            if mark in self.hidden:
                self._wrong(f"{where} tells {mark}, written while this person had no access")

    def _wrong(self, words: str) -> None:
        self.wrongs.append(f"{self.name}: {words}")
