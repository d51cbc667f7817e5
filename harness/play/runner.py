"""Plays one scenario from the first step to the last delivery and keeps what happened."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.play.observers import Observer, Step
from harness.play.people import Pool
from harness.play.recorder import Recorder, Timing
from harness.play.scenario import Scenario
from harness.play.stage import Stage, Target

PLAYS = "plays"
FAILURE = "failure.txt"


@dataclass(frozen=True, kw_only=True)
class Play:
    """What came of one play of a scenario."""

    scenario: Scenario
    began: datetime
    seconds: float
    steps: tuple[Step, ...]
    requests: tuple[Timing, ...]
    deliveries: tuple[Timing, ...]
    failure: Exception | None
    trace: str
    """The traceback of the failure, or nothing."""
    evidence: Path | None
    """Folder with the screens and live frames of every actor, and the failure if there was one."""

    @property
    def passed(self) -> bool:
        return self.failure is None

    @property
    def error(self) -> str | None:
        return None if self.failure is None else f"{type(self.failure).__name__}: {self.failure}"


def perform(
    scenario: Scenario,
    target: Target,
    pool: Pool,
    *,
    observers: Iterable[Observer] = (),
    rehearsal: bool = False,
    stretch: float = 1.0,
    folder: Path | None = None,
) -> Play:
    """Play a scenario on a stage of its own and wait until all that was sent has arrived.

    A failure does not raise, it is in the result. `rehearsal` and `stretch` are those of the `Stage`; `folder`: the
    run folder, in which the evidence is left.
    """
    recorder = Recorder()
    began = datetime.now(UTC)
    start = time.perf_counter()
    evidence = None if folder is None else folder / PLAYS / scenario.name
    failure: Exception | None = None
    try:
        with Stage(
            target, pool, cast=scenario.cast, observers=(recorder, *observers), rehearsal=rehearsal, stretch=stretch
        ) as stage:
            try:
                scenario(stage)
                stage.settle()
            finally:
                if evidence is not None:
                    _leave_evidence(stage, evidence)
    except Exception as error:
        failure = error
    seconds = time.perf_counter() - start
    trace = "" if failure is None else "".join(traceback.format_exception(failure))
    if evidence is not None and trace:
        evidence.mkdir(parents=True, exist_ok=True)
        (evidence / FAILURE).write_text(trace, encoding="utf-8")
    return Play(
        scenario=scenario,
        began=began,
        seconds=seconds,
        steps=recorder.steps,
        requests=recorder.requests,
        deliveries=recorder.deliveries,
        failure=failure,
        trace=trace,
        evidence=evidence,
    )


def _leave_evidence(stage: Stage, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURE).unlink(missing_ok=True)
    for actor in stage.actors:
        name = actor.label.replace(" ", "-").replace("(", "").replace(")", "")
        (folder / f"{name}.screen.txt").write_text(f"{actor.view()}\n", encoding="utf-8")
        (folder / f"{name}.frames.jsonl").write_text("".join(f"{frame}\n" for frame in actor.frames), encoding="utf-8")
