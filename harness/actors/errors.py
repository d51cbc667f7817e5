"""What can go wrong for an actor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ActorError(Exception):
    """Root of everything an actor raises on its own account."""


class Unreachable(ActorError):
    """The server did not answer."""


class Refused(ActorError):
    """The server answered an actor's request with an error."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class FormRefused(ActorError):
    """A form came back with errors."""


class NotPossible(ActorError):
    """The actor was asked for what can't be done now, such as reading a screen before one is open."""


class NeedsControl(NotPossible):
    """It takes control of the stack's processes or data, and this one is run by others: no failure, but a skip."""


class WriteRefused(NeedsControl):
    """It would write to a server that nothing may be written to; nothing was sent."""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"would write: {method} {path}")


@dataclass(frozen=True, kw_only=True)
class View:
    """What an actor had before it when a look failed."""

    actor: str
    screen: str
    lines: Sequence[str]
    frames: Sequence[str]
    """The newest live frames, oldest first."""
    connection: str

    def __str__(self) -> str:
        parts = [f"on the screen {self.screen}, live connection {self.connection}:"]
        parts += [f"  | {line}" for line in self.lines[-LAST_LINES:]] or ["  | (empty)"]
        parts.append("last live frames:")
        parts += [f"  < {_shortened(frame)}" for frame in self.frames] or ["  < (none)"]
        return "\n".join(parts)


class LookError(AssertionError, ActorError):
    """What an actor saw is not what the scenario says; carries the actor's `view`."""

    def __init__(self, claim: str, view: View) -> None:
        super().__init__(f"{view.actor} {claim}\n{view}")
        self.claim = claim
        self.view = view


class NotSeen(LookError):
    """What should have come to be seen did not within the time given."""


class SeenAnyway(LookError):
    """What should have stayed hidden is there."""


class NotAccessible(LookError):
    """The page breaks rules of accessibility."""


LAST_LINES = 12
FRAME_LENGTH = 240


def _shortened(frame: str) -> str:
    return frame if len(frame) <= FRAME_LENGTH else f"{frame[:FRAME_LENGTH]}... ({len(frame)} characters)"
