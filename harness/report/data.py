"""The report of a run as plain data, fit to be shown: the content of ``report.json``."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.actors.errors import LookError
from harness.play.errors import PlayFailed
from harness.play.observers import Step
from harness.play.recorder import Timing
from harness.play.runner import SEED, Play
from harness.play.verdict import verdict
from harness.report.cleaning import Cleaner

SCHEMA = 1
TROUBLES = 50
"""Console messages and failed requests that are told one by one, of each play."""

Repeat = Callable[[Play], str]
"""Gives the command that plays the same again."""


def again(play: Play, *options: str) -> str:
    """The command that plays the same again, on the stack that is up or on a throwaway one."""
    eyes = ["--eyes"] if play.eyes else []
    seed = ["--seed", str(play.seed)] if play.seed else []
    return shlex.join(["harness", "scenario", play.scenario.name, *eyes, *seed, *options])


def again_with_pytest(play: Play, *, start: Path) -> str:
    """The command that plays the same again as a test, when it is run in the folder `start`."""
    test = f"{os.path.relpath(play.scenario.path, start)}::{play.name}"
    seed = f"{SEED}={play.seed} " if play.seed else ""
    return f"{seed}{shlex.join(['python', '-m', 'pytest', test])}"


def report(
    plays: Sequence[Play],
    *,
    run: str,
    app: str,
    cleaner: Cleaner,
    resources: Mapping[str, int],
    versions: Mapping[str, str],
    repeat: Repeat = again,
) -> dict[str, Any]:
    """The report of a run; times in seconds unless the name ends in ``_ms``, dates in ISO 8601.

    ::

        schema      1; grows when a key goes or changes its meaning, not when one comes
        run, app    its id, the address played against
        passed      whether something was played, and nothing failed
        skipped     how many plays were skipped
        began       of the first play, or null; seconds: of all plays together
        resources   {kind: how many} of the stack; empty for a deployment elsewhere
        versions    {name: version}, "checkout" (the commit) and "Python" among them
        scenarios   [{name, title, about, tags, eyes, began, seconds, passed, repeat, evidence, seed,
                      skipped          why it was not played, or null; then it neither passed nor failed, and passed
                                       is false
                      error            "Type: message" or null
                      verdict          null or three lines: what did not hold, where that stands, why most likely
                      place            null or "file:line" of the scenario's own line that failed
                      failure          null or {type, claim, step, details, view}
                                       view: null or {actor, screen, connection, lines, frames}
                      steps            [{title, cue, budget, at, seconds, over_budget, error}]
                      requests         [{name, count, failed, p50_ms, p95_ms, max_ms}]
                      deliveries       the same
                      faults           [{what, began, ended, figures: {name: how much}}]; ended is null if it was
                                       not undone
                      logs             [{resource, lines, left_out}]: what was written in the step that failed
                      moments          {count, failed, kinds: {kind: count}, actors: {actor: count}}
                      screenshots      [{at, actor, step, text, file, failed}] in the order of the story
                      troubles         [{at, actor, kind, text}]: console messages and whatever failed, the
                                       first 50}]

    ``at`` counts from the beginning of the play; ``step`` is the number of a step from 1, or null; ``file`` is
    relative to ``evidence``; ``eyes``: played with browsers, which the name tells too where a scenario can be played
    in both ways. No text holds a password, a cookie or a key.
    """
    content = {
        "schema": SCHEMA,
        "run": run,
        "app": app,
        "passed": any(play.passed for play in plays) and not any(play.failure for play in plays),
        "skipped": sum(play.skipped is not None for play in plays),
        "began": plays[0].began.isoformat() if plays else None,
        "seconds": round(sum(play.seconds for play in plays), 3),
        "resources": dict(resources),
        "versions": dict(versions),
        "scenarios": [_scenario(play, repeat, cleaner) for play in plays],
    }
    cleaned: dict[str, Any] = cleaner.data(content)
    return cleaned


def step_at(steps: Sequence[Step], at: float) -> int | None:
    """The number, from 1, of the step that was under way or had ended last at a time; None before the first."""
    begun = [(step.at, number) for number, step in enumerate(steps, 1) if step.at is not None and step.at <= at]
    return max(begun)[1] if begun else None


def _scenario(play: Play, repeat: Repeat, cleaner: Cleaner) -> dict[str, Any]:
    moments = sorted(play.moments, key=lambda moment: moment.at)
    troubles = [one for one in moments if one.kind == "console" or (one.failed and one.kind != "screenshot")]
    return {
        "name": play.name,
        "title": play.scenario.title,
        "about": play.scenario.about,
        "tags": sorted(play.scenario.tags),
        "eyes": play.eyes,
        "began": play.began.isoformat(),
        "seconds": round(play.seconds, 3),
        "passed": play.passed,
        "repeat": repeat(play),
        "seed": play.seed,
        "skipped": play.skipped,
        "error": play.error,
        "verdict": None if play.failure is None else list(verdict(play, cleaner)),
        "place": play.place,
        "failure": _failure(play),
        "evidence": None if play.evidence is None else str(play.evidence),
        "steps": [_step(step) for step in play.steps],
        "requests": [_timing(timing) for timing in play.requests],
        "deliveries": [_timing(timing) for timing in play.deliveries],
        "faults": [
            {
                "what": one.what,
                "began": round(one.began, 3),
                "ended": None if one.ended is None else round(one.ended, 3),
                "figures": dict(one.figures),
            }
            for one in play.faults
        ],
        "logs": [{"resource": one.resource, "lines": one.lines, "left_out": one.left_out} for one in play.logs],
        "moments": {
            "count": len(moments),
            "failed": sum(one.failed for one in moments),
            "kinds": dict(Counter(one.kind for one in moments)),
            "actors": dict(Counter(one.actor for one in moments)),
        },
        "screenshots": [
            {
                "at": round(one.at, 3),
                "actor": one.actor,
                "step": step_at(play.steps, one.at),
                "text": one.text,
                "file": one.file,
                "failed": one.failed,
            }
            for one in moments
            if one.kind == "screenshot" and one.file is not None
        ],
        "troubles": [
            {"at": round(one.at, 3), "actor": one.actor, "kind": one.kind, "text": one.text}
            for one in troubles[:TROUBLES]
        ],
    }


def _failure(play: Play) -> dict[str, Any] | None:
    failure = play.failure
    if failure is None:
        return None
    view = None
    claim, _, details = str(failure).strip().partition("\n")
    if isinstance(failure, LookError):
        claim, details = f"{failure.view.actor} {failure.claim}", ""
        view = {
            "actor": failure.view.actor,
            "screen": failure.view.screen,
            "connection": failure.view.connection,
            "lines": list(failure.view.lines),
            "frames": list(failure.view.frames),
        }
    elif not isinstance(failure, AssertionError | PlayFailed):
        # By itself the text of an error may say nothing: KeyError: 'title'.
        claim = f"{type(failure).__name__}: {claim}" if claim else type(failure).__name__
    return {
        "type": type(failure).__name__,
        "claim": claim or "A claim of the scenario did not hold",
        "step": next((number for number, step in enumerate(play.steps, 1) if step.error is not None), None),
        "details": details,
        "view": view,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "title": step.title,
        "cue": step.cue,
        "budget": step.budget,
        "at": None if step.at is None else round(step.at, 3),
        "seconds": None if step.seconds is None else round(step.seconds, 3),
        "over_budget": step.over_budget,
        "error": step.error,
    }


def _timing(timing: Timing) -> dict[str, Any]:
    return {
        "name": timing.name,
        "count": timing.count,
        "failed": timing.failed,
        "p50_ms": round(timing.p50, 1),
        "p95_ms": round(timing.p95, 1),
        "max_ms": round(timing.max, 1),
    }
