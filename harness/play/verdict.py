"""A failed play in three lines that a newcomer understands: what did not hold, where that stands, why most likely."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.actors.errors import ActorError, LookError, Refused, Unreachable
from harness.errors import HarnessError
from harness.play.clues import during, likely
from harness.play.errors import PlayFailed
from harness.play.places import Place, place_of

if TYPE_CHECKING:
    from harness.play.observers import Step
    from harness.play.runner import Play
    from harness.report.cleaning import Cleaner

LINE = 260
"""Characters of a line."""
NOTHING = "nothing unusual in the logs"

# What pytest appends to the words of a plain assert.
_REWRITTEN = re.compile(r"\s*\n\s*assert .*", re.DOTALL)


def verdict(play: Play, cleaner: Cleaner | None = None) -> tuple[str, str, str]:
    """What did not hold, for whom and in which step; file, line and code of the scenario; the most likely cause.

    Each is one line without a secret. `cleaner` knows the secrets of the run; by default those that lie in its run
    folder. Raises `ValueError` for a play that did not fail.
    """
    if play.failure is None:
        raise ValueError(f"{play.name} did not fail.")
    cleaner = cleaner or _cleaner(play)
    place = place_of(play)
    number, step = failed_step(play)
    return (
        _line(f"{_claim(play, place, step)}, {_when(play, number, step)}", cleaner),
        _line(str(place), cleaner),
        _line(_why(play, place, step), cleaner),
    )


def failed_step(play: Play) -> tuple[int, Step | None]:
    """The step that failed and its number from 1; 0 and None if the play failed outside of its steps."""
    return next(((number, step) for number, step in enumerate(play.steps, 1) if step.error is not None), (0, None))


def _claim(play: Play, place: Place, step: Step | None) -> str:
    failure = play.failure
    text = str(failure).strip()
    if isinstance(failure, LookError):
        return _folded(f"{failure.view.actor} {failure.claim}")
    if isinstance(failure, ActorError):
        deed = _deed(play, step)
        if deed is None:
            return _folded(text)
        if isinstance(failure, Refused):
            return f"{deed} and is refused (HTTP {failure.status})"
        return f"{deed} and gets no answer" if isinstance(failure, Unreachable) else f"{deed}: {_folded(text)}"
    if isinstance(failure, PlayFailed):
        return _folded(text)
    if isinstance(failure, AssertionError):
        words = _REWRITTEN.sub("", text)
        plain = not words or words.startswith("assert ")
        return f"the claim `{place.code.removeprefix('assert ')}` does not hold" if plain else _folded(words)
    return f"{type(failure).__name__}: {_folded(text)}" if text else type(failure).__name__


def _deed(play: Play, step: Step | None) -> str | None:
    """What an actor was about when it failed: ``alice sends 'Hi'``; None unless it is certain who."""
    failed = [one for one in during(play.moments, step) if one.kind == "does" and one.failed]
    # Of a deed within a deed, the one that the scenario asked for began first.
    return f"{failed[0].actor} {failed[0].text}" if len({one.actor for one in failed}) == 1 else None


def _when(play: Play, number: int, step: Step | None) -> str:
    if step is not None:
        return f"in step {number} {step.title!r}"
    if not play.steps:
        return "before the first step"
    return f"after step {len(play.steps)} {play.steps[-1].title!r}"


def _folded(text: str) -> str:
    """The first line, with the next one where it ends in a colon, and how many more there are."""
    first, *more = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    if first.endswith(":") and more:
        first = f"{first} {more.pop(0)}"
        return f"{first} (and {len(more)} more)" if more else first
    return first.rstrip(".")


def _why(play: Play, place: Place, step: Step | None) -> str:
    if isinstance(play.failure, HarnessError) and play.failure.hint:
        return f"what to do: {play.failure.hint}"
    clues = likely(play, place, step)
    if clues:
        return f"likely: {'; '.join(clues)}"
    where = "" if play.evidence is None else f"; evidence: {play.evidence}"
    if isinstance(play.failure, LookError):
        view = play.failure.view
        last = f", the last line there is {view.lines[-1]!r}" if view.lines else ""
        return f"{NOTHING}; {view.actor} is at {view.screen}{last}, live connection {view.connection}{where}"
    return f"{NOTHING}{where}"


def _line(text: str, cleaner: Cleaner) -> str:
    text = " ".join(cleaner.text(text).split())
    return text if len(text) <= LINE else f"{text[:LINE]}…"


def _cleaner(play: Play) -> Cleaner:
    # The report is made of verdicts, too.
    from harness.report.cleaning import Cleaner

    return Cleaner() if play.evidence is None else Cleaner.of_run(play.evidence.parent.parent)
