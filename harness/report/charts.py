"""Small charts as SVG without a script: bars, and lanes of marks along a time axis.

All positions are percentages, so that a chart is as wide as its place and its marks and texts keep their
size. Colours come from the page's style sheet by class. Each function gives markup that is safe to embed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

LANE_HEIGHT = 60
STRETCH_HEIGHT = 28
# Where in a lane: what people do and see, what goes over the wire, what was kept besides.
_STORY, _WIRE, _BESIDE = 12, 32, 50
_TICKS = 6
_SLIVER = 0.012


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One row of a bar chart: nested bars from the left, such as median, 95th percentile and slowest."""

    label: str
    values: tuple[float, ...]
    note: str
    """The values in words, shown at the right."""
    warning: str = ""
    """What is wrong with it, shown in red."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that happened at a time, in seconds; `kind` chooses its sign, `title` is shown on hover."""

    at: float
    kind: str
    title: str
    bad: bool = False


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What happened to one actor."""

    label: str
    note: str
    marks: Sequence[Mark]


@dataclass(frozen=True, kw_only=True)
class Band:
    """A named stretch of time behind all lanes, in seconds."""

    label: str
    start: float
    end: float
    bad: bool = False


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Something that was in force for a while, in seconds; `note` is what came of it, in a few words."""

    label: str
    start: float
    end: float
    note: str = ""


def track(values: Sequence[float], *, top: float, limit: float | None = None, bad: bool = False) -> Markup:
    """One bar: `values` of `top`, each over the larger ones; `limit` is marked by a line."""
    top = max(top, *values, 1e-9)
    parts = [Markup('<rect class="ground" width="100%" height="8" rx="4"/>')]
    # The largest lies lowest, and of equal ones the first is to be seen.
    largest_first = sorted(enumerate(values), key=lambda pair: (-pair[1], -pair[0]))
    parts += [
        Markup('<rect class="part-{}" width="{}%" height="8" rx="4"/>').format(
            min(number, 2), _percent(max(value / top, _SLIVER) if value else 0.0)
        )
        for number, value in largest_first
    ]
    if limit is not None:
        place = _percent(limit / top)
        parts.append(Markup('<line class="limit" x1="{0}%" x2="{0}%" y1="-3" y2="11"/>').format(place))
    kind = "track bad" if bad else "track"
    return Markup('<svg class="{}" width="100%" height="8" aria-hidden="true">{}</svg>').format(
        kind, Markup("").join(parts)
    )


def bars(rows: Sequence[Bar], *, top: float | None = None) -> Markup:
    """Horizontal bars below their labels, to one scale: up to `top`, by default the largest value."""
    top = max((value for row in rows for value in row.values), default=0.0) if top is None else top
    items = Markup("").join(
        Markup('<li><span class="label">{}</span> <span class="note">{}{}</span>{}</li>').format(
            row.label,
            row.note,
            Markup(" <em>{}</em>").format(row.warning) if row.warning else "",
            track(row.values, top=top),
        )
        for row in rows
    )
    return Markup('<ul class="bars">{}</ul>').format(items)


def lanes(
    rows: Sequence[Lane], *, seconds: float, bands: Sequence[Band] = (), stretches: Sequence[Stretch] = ()
) -> Markup:
    """A lane for each row over one axis of `seconds`; `bands` lie behind all of them.

    `stretches` have a lane of their own at the top, and their shade on all others.
    """
    seconds = max(seconds, 1e-3)
    parts = [_bands(bands, seconds)] if bands else []
    if stretches:
        parts += [_shades(stretches, seconds), _stretches(stretches, seconds)]
    for row in rows:
        marks = Markup("").join(_mark(mark, seconds) for mark in row.marks)
        middle = Markup('<line class="base" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(_STORY)
        drawing = Markup('<svg class="lane" width="100%" height="{}" role="img" aria-label="{}">{}</svg>').format(
            LANE_HEIGHT, f"{row.label}: {row.note}", middle + marks
        )
        label = Markup('<p class="who"><b>{}</b> <span>{}</span></p>').format(row.label, row.note)
        parts.append(Markup('<div class="row">{}{}</div>').format(label, drawing))
    parts.append(_axis(seconds))
    return Markup('<div class="lanes"><div class="axes">{}</div></div>').format(Markup("").join(parts))


def sign(kind: str) -> Markup:
    """The sign of a kind of mark by itself, for a legend."""
    shape = _shape(kind, "50", story=8, wire=8, beside=8)
    return Markup('<svg class="sign" width="16" height="16" aria-hidden="true">{}</svg>').format(shape)


def _mark(mark: Mark, seconds: float) -> Markup:
    bad = Markup(' class="bad"') if mark.bad else ""
    x = _percent(mark.at / seconds)
    line = Markup('<line class="fault" x1="{0}%" x2="{0}%" y1="0" y2="100%"/>').format(x)
    shape = _shape(mark.kind, x) + (line if mark.kind == "fault" else "")
    return Markup("<g{}><title>{}</title>{}</g>").format(bad, mark.title, shape)


def _shape(kind: str, x: str, *, story: int = _STORY, wire: int = _WIRE, beside: int = _BESIDE) -> Markup:
    """A form of its own for each kind, as colour alone tells nothing to some."""
    match kind:
        case "does":
            return Markup('<circle class="does" cx="{}%" cy="{}" r="5"/>').format(x, story)
        case "sees":
            return Markup('<circle class="sees" cx="{}%" cy="{}" r="4.5"/>').format(x, story)
        case "frame":
            return _moved(Markup('<rect class="frame" x="{}%" y="{}" width="2" height="12"/>'), x, wire - 6, dx=-1)
        case "request":
            return _moved(Markup('<rect class="request" x="{}%" y="{}" width="7" height="7"/>'), x, wire - 3, dx=-3)
        case "screenshot":
            frame = Markup('<rect class="screenshot" x="{}%" y="{}" width="12" height="9" rx="2"/>')
            return _moved(frame, x, beside - 4, dx=-6)
        case "fault":
            return _path("fault", "M-4-4 4 4M4-4-4 4", x, story)
        case _:
            return _path("console", "M0-6 6 5H-6Z", x, beside)


def _moved(rect: Markup, x: str, y: int, *, dx: int) -> Markup:
    # A percentage can't be added to; a shift of its own puts the middle where the time is.
    return Markup('<g transform="translate({} 0)">{}</g>').format(dx, rect.format(x, y))


def _path(kind: str, path: str, x: str, y: int) -> Markup:
    return Markup('<svg x="{}%" y="{}" overflow="visible"><path class="{}" d="{}"/></svg>').format(x, y, kind, path)


def _bands(bands: Sequence[Band], seconds: float) -> Markup:
    """The bands behind everything, with the names of those that are wide enough for one."""
    stripes = Markup("").join(_band(number, band, seconds) for number, band in enumerate(bands))
    texts = Markup("").join(
        Markup('<text x="{}%" y="15" text-anchor="middle">{}</text>').format(
            _percent((band.start + band.end) / 2 / seconds), band.label
        )
        for band in bands
        if (band.end - band.start) / seconds > 0.04
    )
    return Markup(
        '<svg class="bands" width="100%" height="100%" aria-hidden="true">{}</svg>'
        '<svg class="axis" width="100%" height="20" aria-hidden="true">{}</svg>'
    ).format(stripes, texts)


def _band(number: int, band: Band, seconds: float) -> Markup:
    start, width = _percent(band.start / seconds), _percent((band.end - band.start) / seconds)
    kind = "band bad" if band.bad else "band even" if number % 2 else "band"
    return Markup('<rect class="{}" x="{}%" width="{}%" height="100%"/>').format(kind, start, width)


def _shades(stretches: Sequence[Stretch], seconds: float) -> Markup:
    rects = Markup("").join(
        Markup('<rect class="shade" x="{}%" width="{}%" height="100%"/>').format(*_from_to(one, seconds))
        for one in stretches
    )
    return Markup('<svg class="bands" width="100%" height="100%" aria-hidden="true">{}</svg>').format(rects)


def _stretches(stretches: Sequence[Stretch], seconds: float) -> Markup:
    """A bar for each below the other, its name at whichever of its ends has room."""
    rows = Markup("").join(_stretch(number, one, seconds) for number, one in enumerate(stretches))
    names = ", ".join(one.label for one in stretches)
    count = f"{len(stretches)} in force for a while" if len(stretches) > 1 else "in force for a while"
    return Markup(
        '<div class="row"><p class="who"><b>faults</b> <span>{}</span></p>'
        '<svg class="lane" width="100%" height="{}" role="img" aria-label="{}">{}</svg></div>'
    ).format(count, len(stretches) * STRETCH_HEIGHT, f"faults: {names}", rows)


def _stretch(number: int, one: Stretch, seconds: float) -> Markup:
    x, width = _from_to(one, seconds)
    top = number * STRETCH_HEIGHT
    late = (one.start + one.end) / 2 > seconds / 2
    return Markup(
        '<g><title>{}</title><rect class="stretch" x="{}%" y="{}" width="{}%" height="8" rx="2"/>'
        '<text class="told" x="{}%" y="{}" text-anchor="{}">{}</text></g>'
    ).format(
        f"{one.start:.2f} s to {one.end:.2f} s · {one.label}{f' · {one.note}' if one.note else ''}",
        x,
        top,
        width,
        _percent(one.end / seconds if late else one.start / seconds),
        top + 21,
        "end" if late else "start",
        one.label,
    )


def _from_to(one: Stretch, seconds: float) -> tuple[str, str]:
    """Beginning and width; what was short can be seen nevertheless."""
    width = max((one.end - one.start) / seconds, 0.004)
    return _percent(min(one.start / seconds, 1 - width)), _percent(width)


def _axis(seconds: float) -> Markup:
    step = _nice(seconds / _TICKS)
    ticks = [number * step for number in range(int(seconds / step + 1e-9) + 1)]
    texts = Markup("").join(
        Markup(
            '<line x1="{0}%" x2="{0}%" y1="0" y2="5"/><text x="{0}%" y="18" text-anchor="{1}">{2:g}{3}</text>'
        ).format(
            _percent(at / seconds),
            "start" if at == 0 else "end" if at > seconds * 0.96 else "middle",
            round(at, 6),
            " s" if at == 0 else "",
        )
        for at in ticks
    )
    return Markup('<svg class="axis" width="100%" height="22" aria-hidden="true">{}</svg>').format(texts)


def _nice(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(step, 1e-9)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _percent(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}".rstrip("0").rstrip(".")
