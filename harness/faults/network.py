"""Faults of the network between a resource and those who use it, for the length of a ``with`` block.

They need a stack that was started with proxies. Each yields a ``Toll``, which tells what the fault has done.
Several on one resource add up, and the end of one leaves the others. A fault ends with its block, also after an
error, and with the process that began it, however that ends.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.faults.counters import Counters
from harness.faults.target import CONTROL

if TYPE_CHECKING:
    from harness.stack import RunningStack

__all__ = ["Counters", "Toll", "bandwidth", "down", "half_open", "latency", "reset", "slow_close"]

_ANSWERS_WITHIN = 10.0


class Toll:
    """What a fault has done so far; after its end, what it had done. Thread-safe."""

    def __init__(self, control: _Connection, first: Counters) -> None:
        self._control = control
        self._last = first
        self._over = False
        self._turn = threading.Lock()

    def counters(self) -> Counters:
        """What has happened at the resource since the fault began.

        Raises HarnessError if the proxies have ended, and the fault with them.
        """
        with self._turn:
            if not self._over:
                self._last = self._control.ask({"op": "counters"})
            return self._last

    def end(self) -> None:
        """End the fault; nothing happens if it has ended."""
        with self._turn:
            if not self._over:
                self._over = True
                # Proxies that are gone hold no fault any more, and hanging up ends it as well.
                with suppress(HarnessError):
                    self._last = self._control.ask({"op": "end"})
                self._control.close()


@contextmanager
def down(stack: RunningStack, name: str) -> Generator[Toll]:
    """Nobody listens at the resource's address: connections are refused, and those that are open are cut."""
    with _fault(stack, name, "down") as toll:
        yield toll


@contextmanager
def latency(stack: RunningStack, name: str, *, seconds: float, jitter: float = 0.0, seed: int = 0) -> Generator[Toll]:
    """Every piece of data comes ``seconds`` later, give or take ``jitter``, in each direction; the order is kept.

    At most 256 KiB are under way in each direction of a connection, so a long latency limits its throughput too.
    """
    with _fault(stack, name, "latency", seconds=seconds, jitter=jitter, seed=int(seed)) as toll:
        yield toll


@contextmanager
def bandwidth(stack: RunningStack, name: str, *, bytes_per_second: float) -> Generator[Toll]:
    """Each direction of each connection carries no more than ``bytes_per_second``."""
    with _fault(stack, name, "bandwidth", bytes_per_second=bytes_per_second) as toll:
        yield toll


@contextmanager
def reset(stack: RunningStack, name: str, *, after: float = 0.0) -> Generator[Toll]:
    """Every connection is reset, ``after`` seconds from now or from when it is made."""
    with _fault(stack, name, "reset", after=after) as toll:
        yield toll


@contextmanager
def slow_close(stack: RunningStack, name: str, *, seconds: float) -> Generator[Toll]:
    """The end of a connection reaches the other side ``seconds`` late."""
    with _fault(stack, name, "slow_close", seconds=seconds) as toll:
        yield toll


@contextmanager
def half_open(stack: RunningStack, name: str) -> Generator[Toll]:
    """Whatever is sent is swallowed both ways and nothing is closed; newcomers are accepted and hear nothing.

    At its end connections that have lost something are reset, as TCP never delivers with a gap; one on which
    nobody said anything goes on.
    """
    with _fault(stack, name, "half_open") as toll:
        yield toll


@contextmanager
def _fault(stack: RunningStack, name: str, fault: str, **settings: float) -> Generator[Toll]:
    if not stack.proxies:
        raise HarnessError(
            "This stack was started without proxies, so its network cannot be broken.",
            hint="Start one that has them with: harness up --faults",
        )
    control = _Connection(stack.sockets / CONTROL)
    try:
        toll = Toll(control, control.ask({"op": "begin", "target": name, "fault": fault, "settings": settings}))
    except BaseException:
        control.close()
        raise
    try:
        yield toll
    finally:
        toll.end()


class _Connection:
    """One conversation with the proxies, which is one fault."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_ANSWERS_WITHIN)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise _no_answer() from error
        self._answers = self._socket.makefile("rb")

    def ask(self, request: dict[str, Any]) -> Counters:
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            line = self._answers.readline()
        except OSError as error:
            raise _no_answer() from error
        if not line:
            raise _no_answer()
        answer = json.loads(line)
        if not answer["ok"]:
            raise HarnessError(answer["sentence"], hint=answer["hint"])
        return Counters(**answer["counters"])

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


def _no_answer() -> HarnessError:
    return HarnessError(
        "The proxies of this run do not answer.",
        hint="Start them again with: harness restart proxies",
    )
