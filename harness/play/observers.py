"""Who watches a play: the recorder, the demo presenter, locust. A scenario never knows of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from harness.play.moments import Moment


@dataclass(frozen=True, kw_only=True)
class Step:
    """One named part of a scenario; observers get it when it begins and again when it ends."""

    title: str
    cue: str | None
    budget: float | None
    """Seconds the step should take at most."""
    seconds: float | None = None
    """How long it took; None while it runs."""
    error: str | None = None
    at: float | None = None
    """Seconds from the beginning of the play to its own; known once it has ended and was recorded."""

    @property
    def running(self) -> bool:
        return self.seconds is None

    @property
    def over_budget(self) -> bool:
        return self.budget is not None and self.seconds is not None and self.seconds > self.budget


class Observer(Protocol):
    """Called from any thread or greenlet, also from several at once; must not block and must not raise."""

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        """An HTTP request of an actor ended after `ms` milliseconds; `name` is its path without ids."""

    def delivery(self, name: str, ms: float, error: str | None) -> None:
        """A message reached a device `ms` milliseconds after its sending was meant to begin, or was lost."""

    def step(self, step: Step) -> None:
        """A step begins (`step.running`), its clock starting when this returns, or ended."""

    def moment(self, moment: Moment) -> None:
        """Something happened; not told in plays that are asked to be quiet, as those under load."""


class Observers:
    """Passes everything on to each of several observers."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._all = tuple(observers)

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        for observer in self._all:
            observer.request(method, name, ms, error)

    def delivery(self, name: str, ms: float, error: str | None) -> None:
        for observer in self._all:
            observer.delivery(name, ms, error)

    def step(self, step: Step) -> None:
        for observer in self._all:
            observer.step(step)

    def moment(self, moment: Moment) -> None:
        for observer in self._all:
            observer.moment(moment)
