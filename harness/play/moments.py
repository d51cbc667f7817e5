"""What happened in a play and when, as one line each: the raw material of its report."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from harness.play.observers import Observer

Kind = Literal["does", "sees", "frame", "request", "screenshot", "console", "fault"]

OPS_SHOWN = 3
LONGEST = 300


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Something that happened in a play.

    ``does``: an actor did something, told when it began. ``sees``: what was claimed to be seen, told when it was.
    ``frame``: a live frame. ``request``: a request that ended. ``screenshot``: a picture of a window. ``console``: what
    a page wrote into its console. ``fault``: trouble in a page that nobody asked for.
    """

    at: float
    """Seconds since the play began."""
    actor: str
    """Who, and on which device: the actor's label."""
    kind: Kind
    text: str
    file: str | None = None
    """Name of a file in the play's evidence folder."""
    failed: bool = False


class Chronicle:
    """Tells an observer the moments of one play. One without an observer tells nobody, at no cost."""

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self._began = time.perf_counter()

    @property
    def listens(self) -> bool:
        """Whether anybody is told."""
        return self._observer is not None

    def seconds(self, at: float) -> float:
        """How long after the play began a time of `time.perf_counter` is."""
        return max(0.0, at - self._began)

    def tell(
        self,
        actor: str,
        kind: Kind,
        text: str,
        *,
        file: str | None = None,
        failed: bool = False,
        at: float | None = None,
    ) -> None:
        """Something happened, now or `at` a time of `time.perf_counter`."""
        if self._observer is None:
            return
        seconds = self.seconds(time.perf_counter() if at is None else at)
        shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        self._observer.moment(Moment(at=seconds, actor=actor, kind=kind, text=shown, file=file, failed=failed))

    @contextmanager
    def does(self, actor: str, text: str) -> Generator[None]:
        """The actor does something for the length of a block; failed if that raises."""
        began = time.perf_counter()
        failed = True
        try:
            yield
            failed = False
        finally:
            self.tell(actor, "does", text, failed=failed, at=began)

    @contextmanager
    def sees(self, actor: str, text: str) -> Generator[None]:
        """The actor looks for something for the length of a block; not seen if that raises."""
        failed = True
        try:
            yield
            failed = False
        finally:
            self.tell(actor, "sees", text, failed=failed)

    def frame(self, actor: str, frame: Mapping[str, Any], *, sent: bool = False, at: float | None = None) -> None:
        """A live frame came in, or was sent."""
        if self._observer is not None:
            self.tell(actor, "frame", f"{'→' if sent else '←'} {frame_text(frame)}", at=at)


def frame_text(frame: Mapping[str, Any]) -> str:
    """A live frame in a few words."""
    kind = frame.get("type", "?")
    match kind:
        case "event":
            ops = [_op_text(op) for op in frame.get("ops", ())]
            more = f", {len(ops) - OPS_SHOWN} more" if len(ops) > OPS_SHOWN else ""
            return f"event {frame.get('seq')} in {frame.get('scope')}: {', '.join(ops[:OPS_SHOWN])}{more}"
        case "hello":
            cursor = frame.get("cursor")
            return f"hello, complete up to {cursor['seq']}" if cursor else "hello, with nothing yet"
        case "welcome":
            return f"welcome, {'resumed' if frame.get('resumed') else 'a snapshot follows'}"
        case "snapshot":
            return f"snapshot at {frame.get('seq')}: {len(frame.get('scopes', ()))} scopes"
        case "load" | "scope" | "page":
            return f"{kind} of {frame.get('scope')}"
        case "heartbeat":
            return f"heartbeat at {frame.get('seq')}"
    return str(kind)


def _op_text(op: Mapping[str, Any]) -> str:
    if "type" in op:
        return f"{op['op']} {op['type']} {op['id']}"
    return f"{op['op']} {op.get('scope', '')}".rstrip()
