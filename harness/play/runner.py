"""Plays one scenario from the first step to the last delivery and keeps what happened."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.actors.errors import ActorError
from harness.play.errors import ScenarioUnusable
from harness.play.moments import Moment
from harness.play.observers import Observer, Step
from harness.play.people import Pool
from harness.play.recorder import Recorder, Timing
from harness.play.scenario import Scenario
from harness.play.stage import Stage, Target

if TYPE_CHECKING:
    from harness.browser.driver import Browsers
    from harness.play.eyes import Eyes

PLAYS = "plays"
KEEP = "HARNESS_KEEP"
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
    """Folder with the screens and live frames of every actor, pictures of windows, and the failure if there was one."""
    eyes: bool = False
    """Whether it was played with browsers."""
    moments: tuple[Moment, ...] = ()
    """What happened, in the order of time; none if nobody asked."""

    @property
    def name(self) -> str:
        """The scenario's name and the way it was played, where there are two."""
        return way_name(self.scenario, eyes=self.eyes)

    @property
    def passed(self) -> bool:
        return self.failure is None

    @property
    def error(self) -> str | None:
        return None if self.failure is None else f"{type(self.failure).__name__}: {self.failure}"


def way_name(scenario: Scenario, *, eyes: bool) -> str:
    """What a scenario is called when it is played in one way: ``name[web]``, ``name[browser]``, or just its name."""
    if not scenario.windows:
        return scenario.name
    return f"{scenario.name}[{'browser' if eyes else 'web'}]"


def perform(
    scenario: Scenario,
    target: Target,
    pool: Pool,
    *,
    observers: Iterable[Observer] = (),
    rehearsal: bool = False,
    stretch: float = 1.0,
    folder: Path | None = None,
    eyes: bool = False,
    browsers: Browsers | None = None,
    keep: bool | None = None,
    moments: bool = True,
) -> Play:
    """Play a scenario on a stage of its own and wait until all that was sent has arrived.

    A failure does not raise, it is in the result. `rehearsal` and `stretch` are those of the `Stage`; `folder`: the
    run folder, in which the evidence is left. `eyes`: the roles that the scenario names sit at browsers, those given or
    new ones; a scenario without such roles is played as ever. `keep`: leave all evidence of windows, also of a play
    that passed; by default if HARNESS_KEEP is 1. `moments`: tell observers everything that happens.
    """
    eyes = eyes and bool(scenario.windows)
    recorder = Recorder()
    began = datetime.now(UTC)
    start = time.perf_counter()
    evidence = None if folder is None else folder / PLAYS / _folder_name(scenario, eyes=eyes)
    failure: Exception | None = None
    try:
        if scenario.eyes == "always" and not eyes:
            raise ScenarioUnusable(f"The scenario {scenario.name} is played with eyes only.", hint="Add --eyes.")
        if evidence is not None:
            _clear(evidence)
        with ExitStack() as opened:
            stage = opened.enter_context(
                Stage(
                    target,
                    pool,
                    cast=scenario.cast,
                    observers=(recorder, *observers),
                    rehearsal=rehearsal,
                    stretch=stretch,
                    eyes=_eyes(scenario, browsers, evidence, opened) if eyes else None,
                    moments=moments,
                )
            )
            passed = False
            try:
                scenario(stage)
                stage.settle()
                stage.judge()
                passed = True
            finally:
                if evidence is not None:
                    _leave_evidence(stage, evidence, passed=passed, keep=_keeps() if keep is None else keep)
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
        eyes=eyes,
        moments=recorder.moments,
    )


def _eyes(scenario: Scenario, browsers: Browsers | None, folder: Path | None, opened: ExitStack) -> Eyes:
    from harness.browser.driver import Browsers
    from harness.play.eyes import Eyes

    if browsers is None:
        browsers = opened.enter_context(Browsers.found())
    return Eyes(browsers=browsers, roles=scenario.windows, folder=folder)


def _folder_name(scenario: Scenario, *, eyes: bool) -> str:
    return f"{scenario.name}-browser" if eyes else scenario.name


def _clear(folder: Path) -> None:
    """Take away what an earlier play in the same run left."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()


def _keeps() -> bool:
    return os.environ.get(KEEP) == "1"


def _leave_evidence(stage: Stage, folder: Path, *, passed: bool, keep: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for actor in stage.actors:
        # One window that is gone must not cost the evidence of the others, nor hide what failed.
        with suppress(ActorError):
            if not passed:
                actor.screenshot("the end", failed=True)
        with suppress(ActorError):
            actor.leaves_evidence(folder, everything=keep or not passed)
