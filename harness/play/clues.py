"""Why a play most likely failed, from what was left of it: faults, dead resources, requests, connections, logs."""

from __future__ import annotations

import ast
import difflib
import inspect
import json
import re
import traceback
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.actors.errors import ActorError, LookError, NotSeen, Refused, Unreachable
from harness.errors import HarnessError
from harness.play.errors import OverBudget, PlayFailed, UncleanConsole
from harness.play.places import Place, findable

if TYPE_CHECKING:
    from harness.play.happenings import FaultSpan
    from harness.play.moments import Moment
    from harness.play.observers import Step
    from harness.play.runner import Play

MOST = 2
"""Clues that are told of one failure."""
NEAR = 0.8
"""From how much likeness on a line of the screen is taken for the one that was looked for."""
SLOW_MS = 500.0
SLACK = 0.05
"""Seconds by which what tells of steps and what tells of moments may differ."""

_TRACEBACK = "Traceback (most recent call last)"
_LOUD = re.compile(r"ERROR|CRITICAL|FATAL|PANIC|⨯|Unhandled|[Oo]ut of memory")
# What Postgres says when all is well: a loser of a race tries again, a refused value is told to whoever sent it.
_ORDINARY = re.compile(
    r"could not serialize access|duplicate key value|violates \w+ constraint|the database system is starting up"
    r"|canceling statement due to user request|terminating (?:connection|autovacuum process) due to administrator"
)
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d[T ][\d:.,]+(?: UTC)?(?: \[\d+\])?[:,]?\s*")
_CLAIM = re.compile(r"does not see (?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", re.DOTALL)
_TOOK = re.compile(r"(?P<ms>\d+) ms$")
_UNEXPECTED = re.compile(r"(?P<called>\w+)\(\) got an unexpected keyword argument")
_MISSING = re.compile(r"(?P<called>\w+)\(\) missing \d+ required positional arguments?: (?P<names>.+)")


def likely(play: Play, place: Place, step: Step | None) -> list[str]:
    """What most likely made a play fail, at most two clues, the strongest first; none if nothing is unusual.

    `step`: the one that failed, if one did.
    """
    mistake = _mistake(play, place)
    if mistake is not None:
        return [mistake]
    return list(islice(_of_the_stack(play, place, step), MOST))


def trouble_in(lines: Iterable[str]) -> str | None:
    """What the lines of a log say of trouble: the error at the end of a traceback, else the first loud line."""
    loud: str | None = None
    error: str | None = None
    inside = False
    for line in lines:
        if _TRACEBACK in line:
            inside = True
        elif inside and line and not line[0].isspace():
            # Of several in a row, each caused by the one before, the last tells what came of it.
            error, inside = line, False
        elif loud is None and _LOUD.search(line) and not _ORDINARY.search(line):
            loud = line
    found = error or loud
    return None if found is None else _STAMP.sub("", found).strip()


def in_force(play: Play) -> list[FaultSpan]:
    """The faults that were in force when the play failed."""
    at = failed_at(play)
    return [one for one in play.faults if one.began <= at and (one.ended is None or one.ended >= at)]


def failed_at(play: Play) -> float:
    """When the play failed, in seconds since it began, as well as its moments and steps tell."""
    step = next((one for one in play.steps if one.error is not None and one.at is not None), None)
    if step is None or step.at is None:
        return play.seconds
    # To mend what was broken on purpose takes time, too, and comes after the failure.
    failed = [one.at for one in during(play.moments, step) if one.failed and one.kind in ("does", "sees", "request")]
    return max(failed, default=step.at + (step.seconds or 0.0))


def during(moments: Sequence[Moment], step: Step | None) -> list[Moment]:
    """What happened in a step; everything if there was none."""
    if step is None or step.at is None:
        return list(moments)
    begin, end = step.at - SLACK, step.at + (step.seconds or 0.0) + SLACK
    return [one for one in moments if begin <= one.at <= end]


def figures(fault: FaultSpan) -> str:
    """What a fault bit, in words: ``refused 3, delayed 1.5``."""
    return ", ".join(f"{name.replace('_', ' ')} {count:g}" for name, count in fault.figures.items() if count)


# What the scenario itself did wrong


def _mistake(play: Play, place: Place) -> str | None:
    """What is wrong with the scenario rather than with the stack."""
    failure = play.failure
    if failure is None or isinstance(failure, HarnessError | ActorError | AssertionError):
        return None
    *_, (innermost, line) = traceback.walk_tb(failure.__traceback__) if failure.__traceback__ else [(None, 0)]
    if innermost is None:
        return None
    if isinstance(failure, TypeError) and place.frame is None:
        missing = _MISSING.search(str(failure))
        if missing and missing["called"] == play.scenario.function.__name__:
            return f"a scenario is given the stage alone, no fixtures: take {missing['names']} from stage.actor(...)"
    if innermost is not place.frame:
        return f"raised in {findable(Path(innermost.f_code.co_filename))}:{line}, which that line came to"
    if isinstance(failure, AttributeError | NameError) and failure.name is not None:
        return _unknown_name(failure, place)
    if isinstance(failure, TypeError):
        return _wrong_call(failure, place)
    values = _values(place)
    return f"raised by the scenario's own code{f', with {values}' if values else ''}"


def _unknown_name(failure: AttributeError | NameError, place: Place) -> str:
    known: Iterable[str] = ()
    if isinstance(failure, AttributeError):
        known = [name for name in dir(failure.obj) if not name.startswith("_")]
    elif place.frame is not None:
        known = {**place.frame.f_globals, **place.frame.f_locals}
    owner = f"{type(failure.obj).__name__} has" if isinstance(failure, AttributeError) else "there is"
    near = difflib.get_close_matches(str(failure.name), list(known), n=1)
    return f"a typo in the scenario: {owner} no {failure.name!r}" + (f", but {near[0]!r}" if near else "")


def _wrong_call(failure: TypeError, place: Place) -> str:
    told = _UNEXPECTED.search(str(failure)) or _MISSING.search(str(failure))
    called = None if told is None else _called(place, told["called"])
    if called is None:
        return "the scenario calls something with what it can't take"
    names = [name for name in inspect.signature(called).parameters if name != "self"]
    return f"a call in the scenario does not fit: {called.__name__}() takes {', '.join(names)}"


def _called(place: Place, name: str) -> Any:
    """The function or method that the statement calls by this name, found without running anything."""
    if place.statement is None or place.frame is None:
        return None
    known = place.frame.f_globals | place.frame.f_locals
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id=found) if found == name and inspect.isroutine(known.get(found)):
                return known[found]
            case ast.Attribute(attr=found, value=ast.Name(id=owner)) if found == name and owner in known:
                method = inspect.getattr_static(type(known[owner]), found, None)
                if inspect.isroutine(method):
                    return method
    return None


def _values(place: Place) -> str:
    return ", ".join(f"{name} = {value}" for name, value in place.values())


# What the stack did


def _of_the_stack(play: Play, place: Place, step: Step | None) -> Iterator[str]:
    failure = play.failure
    if isinstance(failure, AssertionError) and not isinstance(failure, ActorError | PlayFailed):
        values = _values(place)
        if values:
            yield f"it was {values}"
    if isinstance(failure, NotSeen):
        yield from _near_miss(failure)
    for fault in in_force(play):
        bit = figures(fault)
        yield f"the fault {fault.what!r} was in force since {fault.began:.1f} s{f' ({bit})' if bit else ''}"
    yield from _dead(play)
    if isinstance(failure, Refused | Unreachable):
        yield _one_line(str(failure))
    else:
        yield from _refused_requests(play, step)
    if isinstance(failure, OverBudget):
        yield from _slowest(play, step)
    if isinstance(failure, LookError) and not failure.view.connection.startswith("live"):
        yield f"the live connection of {failure.view.actor} is: {failure.view.connection}"
    yield from _logs(play)
    yield from _ended_faults(play, step)
    if isinstance(failure, UncleanConsole):
        yield "expected trouble is allowed with: with actor.expects_trouble(reason, pattern=...)"


def _dead(play: Play) -> Iterator[str]:
    """The resources that have ended by themselves, as the supervisor knows."""
    if play.evidence is None:
        return
    try:
        state = play.evidence.parent.parent / "state.json"
        rows = json.loads(state.read_text(encoding="utf-8"))["snapshot"]["resources"]
        for row in rows:
            if row["state"] in ("exited", "failed"):
                yield f"{row['name']} has ended by itself (code {row['code']})"
    except (OSError, ValueError, KeyError, TypeError):
        return


def _near_miss(failure: NotSeen) -> Iterator[str]:
    """Whether what was looked for is nearly there, or came in and is not shown."""
    claim, view = _CLAIM.match(failure.claim), failure.view
    if claim is None:
        return
    text = str(ast.literal_eval(claim["text"]))
    parts = [part for line in view.lines for part in (line.strip(), line.rpartition(": ")[2].strip())]
    near = difflib.get_close_matches(text, parts, n=1, cutoff=NEAR)
    if near:
        yield f"a typo or an old state? The screen of {view.actor} shows {near[0]!r}"
    elif any(json.dumps(text, ensure_ascii=False)[1:-1] in frame for frame in view.frames):
        yield f"it did come in as a live frame, but the screen {view.screen} of {view.actor} does not show it"


def _refused_requests(play: Play, step: Step | None) -> Iterator[str]:
    """The last request that failed in the step; of whoever did not see it rather than of others."""
    failed = [one for one in during(play.moments, step) if one.kind == "request" and one.failed]
    if not failed:
        return
    actor = play.failure.view.actor if isinstance(play.failure, LookError) else None
    last = max(failed, key=lambda one: (one.actor == actor, one.at))
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    yield f"a request of {last.actor} failed: {last.text}{more}"


def _slowest(play: Play, step: Step | None) -> Iterator[str]:
    timed = [
        (int(took["ms"]), one)
        for one in during(play.moments, step)
        if one.kind == "request" and (took := _TOOK.search(one.text))
    ]
    if timed:
        ms, slowest = max(timed, key=lambda pair: pair[0])
        if ms >= SLOW_MS:
            yield f"the slowest request in it: {slowest.actor}, {slowest.text}"


def _logs(play: Play) -> Iterator[str]:
    """The first trouble that a resource wrote in the failed step; what the servers of others say comes last."""
    ordered = sorted(play.logs, key=lambda one: one.resource in ("postgres", "redis"))
    for one in ordered:
        found = trouble_in(one.lines)
        if found is not None:
            yield f"{one.resource} wrote: {_one_line(found)}"


def _ended_faults(play: Play, step: Step | None) -> Iterator[str]:
    at = failed_at(play)
    begin = step.at if step is not None and step.at is not None else 0.0
    for fault in play.faults:
        if fault.ended is not None and begin <= fault.ended < at:
            yield f"the fault {fault.what!r} had ended before, in the same step"


def _one_line(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")
