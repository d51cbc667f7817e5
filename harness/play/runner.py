"""Plays one scenario from the first step to the last delivery and keeps what happened."""

from __future__ import annotations

import os
import secrets
import time
import traceback
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness import locks
from harness.actors.errors import ActorError, NeedsControl
from harness.play.errors import ScenarioUnusable
from harness.play.happenings import FaultSpan, LogSlice, StepLogs
from harness.play.moments import Moment
from harness.play.observers import Observer, Step
from harness.play.people import Pool
from harness.play.places import failed_line, findable
from harness.play.recorder import Recorder, Timing
from harness.play.scenario import Scenario
from harness.play.stage import Stage, Target

if TYPE_CHECKING:
    from harness.browser.driver import Browsers
    from harness.play.eyes import Eyes

PLAYS = "plays"
KEEP = "HARNESS_KEEP"
SEED = "HARNESS_SEED"
STAGE_LOCK = "stage.lock"
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
    seed: int = 0
    """What its chances came from."""
    skipped: str | None = None
    """Why it could not be played on this target; then it neither passed nor failed."""
    faults: tuple[FaultSpan, ...] = ()
    """What was broken on purpose."""
    logs: tuple[LogSlice, ...] = ()
    """What the resources wrote during the step that failed."""

    @property
    def name(self) -> str:
        """The scenario's name and the way it was played, where there are two."""
        return way_name(self.scenario, eyes=self.eyes)

    @property
    def passed(self) -> bool:
        return self.failure is None and self.skipped is None

    @property
    def error(self) -> str | None:
        return None if self.failure is None else f"{type(self.failure).__name__}: {self.failure}"

    @property
    def place(self) -> str | None:
        """The scenario's own line that failed: ``scenarios/chat.py:31``; None if none did."""
        found = failed_line(self)
        return None if found is None else f"{findable(Path(found[0].f_code.co_filename))}:{found[1]}"


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
    seed: int | None = None,
) -> Play:
    """Play a scenario on a stage of its own and wait until all that was sent has arrived.

    A failure does not raise, it is in the result. `rehearsal` and `stretch` are those of the `Stage`; `folder`: the
    run folder, in which the evidence is left. `eyes`: the roles that the scenario names sit at browsers, those given or
    new ones; a scenario without such roles is played as ever. `keep`: leave all evidence of windows, also of a play
    that passed; by default if HARNESS_KEEP is 1. `moments`: tell observers everything that happens. `seed`: of what
    the scenario leaves to chance; by default HARNESS_SEED, else one of its own. What takes control of the stack is
    skipped on one that runs elsewhere. A scenario that is `alone` waits until no other plays on the stack.
    """
    eyes = eyes and bool(scenario.windows)
    recorder = Recorder()
    seed = _seed() if seed is None else seed
    # Locust's plays know no stack, so nothing is read for them.
    logs = None if target.stack is None else StepLogs(target.stack.folder)
    began = datetime.now(UTC)
    start = time.perf_counter()
    evidence = None if folder is None else folder / PLAYS / _folder_name(scenario, eyes=eyes)
    failure: Exception | None = None
    skipped: str | None = None
    written: tuple[LogSlice, ...] = ()
    faults: tuple[FaultSpan, ...] = ()
    try:
        if scenario.eyes == "always" and not eyes:
            raise ScenarioUnusable(f"The scenario {scenario.name} is played with eyes only.", hint="Add --eyes.")
        if scenario.alone and target.stack is None:
            raise NeedsControl("it breaks or resets its stack, and this one runs elsewhere")
        if evidence is not None:
            _clear(evidence)
        with ExitStack() as opened:
            opened.enter_context(_turn(scenario, target))
            # To wait for others is no part of the play.
            began, start = datetime.now(UTC), time.perf_counter()
            stage = opened.enter_context(
                Stage(
                    target,
                    pool,
                    cast=scenario.cast,
                    observers=(recorder, *(() if logs is None else (logs,)), *observers),
                    rehearsal=rehearsal,
                    stretch=stretch,
                    eyes=_eyes(scenario, browsers, evidence, opened) if eyes else None,
                    moments=moments,
                    alone=scenario.alone,
                    seed=seed,
                )
            )
            passed = False
            try:
                scenario(stage)
                stage.settle()
                stage.judge()
                passed = True
            finally:
                faults = stage.faults
                if logs is not None and not passed:
                    written = logs.slices()
                if evidence is not None:
                    _leave_evidence(stage, evidence, passed=passed, keep=_keeps() if keep is None else keep)
    except NeedsControl as error:
        skipped = str(error)
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
        seed=seed,
        skipped=skipped,
        faults=faults,
        logs=() if failure is None else written,
    )


@contextmanager
def _turn(scenario: Scenario, target: Target) -> Generator[None]:
    """Wait until this play and the others on its stack, also those of other processes, do not disturb each other."""
    if target.stack is None:
        yield
        return
    path = target.stack.folder / STAGE_LOCK
    lock = locks.take(path, wait=True) if scenario.alone else locks.share(path)
    assert lock is not None, "it was waited for"
    try:
        yield
    finally:
        os.close(lock)


def _seed() -> int:
    given = os.environ.get(SEED, "")
    if given and not given.isdecimal():
        raise ScenarioUnusable(f"{SEED} must be a whole number, not {given!r}.")
    return int(given) if given else secrets.randbits(32)


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
