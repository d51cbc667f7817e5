from __future__ import annotations

from harness.play.moments import Moment
from harness.play.observers import Step


class Seen:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str | None]] = []
        self.deliveries: list[tuple[str, float, str | None]] = []
        self.steps: list[Step] = []
        self.moments: list[Moment] = []

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        self.requests.append((method, name, error))

    def delivery(self, name: str, ms: float, error: str | None) -> None:
        self.deliveries.append((name, ms, error))

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def moment(self, moment: Moment) -> None:
        self.moments.append(moment)
