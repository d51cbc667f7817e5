"""What happened in a play as the rows of a sequence diagram: folded, in order, no more than people read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from harness.play.clues import failed_at, figures
from harness.play.moments import Moment
from harness.play.observers import Step
from harness.play.runner import Play

MOST_ROWS = 200
MOST_LIFELINES = 12
NEIGHBOURHOOD = 40
"""Rows before the failure that are always kept; after it a quarter of that."""
MOST_MARKS = 40
"""Up to so many beginnings of steps, and so many faults, are always kept."""
STEP_FIRST = 0.005
STACK = "stack"

Way = Literal["in", "out", "note", "step", "left out", "failure"]
"""``in``: to the stack; ``out``: from it to an actor; ``note``: at the actor, or at the stack itself."""

_OUTCOMES = {"sees": " — not so", "does": " — failed"}
_NAMES = {"frame": ("event", "events"), "request": ("request", "requests")}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the diagram, at a time in seconds."""

    at: float
    way: Way
    text: str
    kind: str = ""
    """The kind of moment, or ``mended`` where a fault ends, or ``step``, ``left out``, ``failure``."""
    actor: str = ""
    count: int = 1
    """How many moments it stands for."""
    bad: bool = False
    title: str = ""
    """All of its text, where `text` is a summary."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A fault on the stack's lifeline, from one row to another."""

    what: str
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """A whole diagram: lifelines from the left, rows from the top."""

    lifelines: tuple[str, ...]
    others: int
    """Actors who share the last lifeline, as there are too many for one each; 0 if there are not."""
    rows: tuple[Row, ...]
    stretches: tuple[Stretch, ...]

    def lifeline(self, actor: str) -> int:
        """The number of an actor's lifeline, counted from that of the stack, which is 0, as it is for nobody."""
        if actor in ("", STACK):
            return 0
        return self.lifelines.index(actor) + 1 if actor in self.lifelines else len(self.lifelines) + 1


def diagram(play: Play, clean: Callable[[str], str], *, failure: str | None = None) -> Diagram:
    """The diagram of a play. `clean` makes a text fit to be shown; `failure`: what failed, in one line."""
    ordered = sorted(play.moments, key=lambda one: one.at)
    moments = [one for one in ordered if one.kind != "screenshot" and not _told_as_fault(one, play)]
    drawn, others = _lifelines(moments)
    rows = sorted([*_steps(play), *_faults(play, clean)], key=_place)
    rows = _merged(rows, _folded(moments, [row.at for row in rows], clean))
    if play.failure is not None:
        at = failed_at(play)
        place = max((number for number, row in enumerate(rows, 1) if row.at <= at), default=0)
        rows.insert(place, Row(at=at, way="failure", kind="failure", text=failure or "it failed", bad=True))
    rows = [replace(row, text=clean(row.text), actor=clean(row.actor)) for row in _shortened(rows)]
    names = tuple(dict.fromkeys(clean(name) for name in drawn))
    return Diagram(lifelines=names, others=others, rows=tuple(rows), stretches=tuple(_stretches(play, rows, clean)))


def _told_as_fault(moment: Moment, play: Play) -> bool:
    return moment.kind == "fault" and moment.actor == STACK and bool(play.faults)


def _lifelines(moments: Sequence[Moment]) -> tuple[list[str], int]:
    """Who gets one, in the order of appearance: where something failed, then those with most to tell."""
    counts = Counter(one.actor for one in moments if one.actor != STACK)
    unlucky = {one.actor for one in moments if one.failed}
    if len(counts) <= MOST_LIFELINES:
        return list(counts), 0
    ranked = sorted(counts, key=lambda name: (name not in unlucky, -counts[name]))[: MOST_LIFELINES - 1]
    return [name for name in counts if name in ranked], len(counts) - len(ranked)


def _steps(play: Play) -> Iterator[Row]:
    for number, step in enumerate(play.steps, 1):
        if step.at is not None:
            yield Row(
                at=step.at,
                way="step",
                kind="step",
                text=f"{number}  {step.title}",
                title=_took(step),
                bad=step.error is not None,
            )


def _took(step: Step) -> str:
    budget = "" if step.budget is None else f" of {step.budget:g} s"
    return f"{step.seconds or 0:.2f} s{budget}"


def _faults(play: Play, clean: Callable[[str], str]) -> Iterator[Row]:
    for fault in play.faults:
        what = clean(fault.what)
        yield Row(at=fault.began, way="note", kind="fault", text=f"fault begins: {what}", actor=STACK, bad=True)
        if fault.ended is not None:
            bit = figures(fault)
            text = f"fault ends: {what}{f' · {bit}' if bit else ''}"
            yield Row(at=fault.ended, way="note", kind="mended", text=text, actor=STACK)


def _stretches(play: Play, rows: Sequence[Row], clean: Callable[[str], str]) -> Iterator[Stretch]:
    for fault in play.faults:
        ended = rows[-1].at if fault.ended is None else fault.ended
        numbers = [number for number, row in enumerate(rows) if fault.began <= row.at <= ended]
        if numbers:
            yield Stretch(what=clean(fault.what), first=numbers[0], last=numbers[-1])


def _folded(moments: Sequence[Moment], bounds: Sequence[float], clean: Callable[[str], str]) -> list[Row]:
    """A row for each moment; frames and requests between two other happenings in one row for each actor."""
    rows: list[Row] = []

    def run(pair: tuple[int, Moment]) -> object:
        number, moment = pair
        many = moment.kind in _NAMES and not moment.failed
        return ("many", sum(bound <= moment.at for bound in bounds)) if many else number

    for key, pairs in groupby(enumerate(moments), key=run):
        found = [moment for _, moment in pairs]
        if not isinstance(key, tuple):
            rows.append(_row(found[0]))
            continue
        groups: dict[tuple[str, str, Way], list[Moment]] = {}
        for moment in found:
            groups.setdefault((moment.actor, moment.kind, _way(moment)), []).append(moment)
        rows += [_row(group[0]) if len(group) == 1 else _many(group, clean) for group in groups.values()]
    return rows


def _many(group: Sequence[Moment], clean: Callable[[str], str]) -> Row:
    first = group[0]
    texts = Counter(_bare(one.text) for one in group)
    shown = ", ".join(text if count == 1 else f"{count} × {text}" for text, count in texts.most_common(3))
    return replace(
        _row(first),
        text=f"{len(group)} {_NAMES[first.kind][1]}: {shown}",
        title=clean("\n".join(f"{one.at:.3f} {one.text}" for one in group[:12])),
        count=len(group),
    )


def _bare(text: str) -> str:
    """A moment without what differs each time: its direction, its duration."""
    text = text.removeprefix("← ").removeprefix("→ ")
    return text.partition(": ")[0]


def _row(moment: Moment) -> Row:
    text = moment.text.removeprefix("← ").removeprefix("→ ") if moment.kind == "frame" else moment.text
    return Row(
        at=moment.at,
        way=_way(moment),
        kind=moment.kind,
        text=f"{text}{_OUTCOMES.get(moment.kind, '') if moment.failed else ''}",
        actor=moment.actor,
        bad=moment.failed or (moment.kind == "fault" and moment.actor == STACK),
    )


def _way(moment: Moment) -> Way:
    match moment.kind:
        case "does" | "request":
            return "in"
        case "frame":
            return "in" if moment.text.startswith("→") else "out"
        case _:
            return "note"


def _place(row: Row) -> float:
    # A step begins before what happens in it at the same moment, though another clock may have told of it.
    return row.at - STEP_FIRST if row.way == "step" else row.at


def _merged(rows: Iterable[Row], more: Iterable[Row]) -> list[Row]:
    return sorted([*rows, *more], key=_place)


def _shortened(rows: list[Row]) -> list[Row]:
    """At most so many rows: of each step its beginning and end stay, and all around the failure."""
    if len(rows) <= MOST_ROWS:
        return rows
    kept = _kept_anyway(rows)
    segments = list(_segments(rows, kept))
    room = MOST_ROWS - len(kept) - len(segments)
    for segment, share in zip(segments, _shares([len(one) for one in segments], room), strict=True):
        head = (share * 2 + 2) // 3
        kept.update(segment[:head], segment[len(segment) - (share - head) :] if share > head else ())
    shown: list[Row] = []
    for is_kept, pairs in groupby(enumerate(rows), key=lambda pair: pair[0] in kept):
        group = [row for _, row in pairs]
        if is_kept:
            shown += group
        else:
            count = sum(row.count for row in group)
            text = f"… {count:,} left out"
            shown.append(Row(at=group[0].at, way="left out", kind="left out", text=text, count=count))
    return shown


def _kept_anyway(rows: Sequence[Row]) -> set[int]:
    kept: set[int] = set()
    for kind in ("step", "fault", "mended"):
        marks = [number for number, row in enumerate(rows) if row.kind == kind]
        kept.update(marks if len(marks) <= MOST_MARKS else ())
    for number, row in enumerate(rows):
        if row.way == "failure":
            kept.update(range(max(0, number - NEIGHBOURHOOD), min(len(rows), number + 1 + NEIGHBOURHOOD // 4)))
    return kept


def _segments(rows: Sequence[Row], kept: set[int]) -> Iterator[list[int]]:
    """The stretches of rows between those that are kept."""
    for is_kept, numbers in groupby(range(len(rows)), key=lambda number: number in kept):
        if not is_kept:
            yield list(numbers)


def _shares(lengths: Sequence[int], room: int) -> list[int]:
    """`room` shared out evenly, what a short stretch does not need to the others."""
    shares = [0] * len(lengths)
    for left, number in enumerate(sorted(range(len(lengths)), key=lambda index: lengths[index])):
        fair = max(0, room) // (len(lengths) - left)
        shares[number] = min(lengths[number], fair)
        room -= shares[number]
    return shares
