"""A sequence diagram as SVG without a script: lifelines, arrows, steps; time runs downward.

Three drawings lie beside and above each other in one box that scrolls: the names, the seconds, everything else. So
names and seconds can stay in sight. Colours come from the page's style sheet by class; the markup is safe to embed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from markupsafe import Markup

from harness.report.sequence import STACK, Diagram, Row, Stretch

ROW = 34
"""Height of a row; what it says stands above its arrow."""
HEAD = 34
SECONDS = 60
"""Width of the column of seconds."""
_STACK = 46
"""Where the stack's lifeline is."""
_TEXT = _STACK + 14
_WIDTH = 850
_CLOSEST, _WIDEST = 124, 440
_CHARACTER = 6.9
"""Width of an average letter, rather too much."""
_LINE, _WORDS = 24, 15
"""Where in a row its arrow and the foot of its words are."""
_HEAD_LETTERS = 17
_MARGIN = 12
_BARS = ("step", "left out", "failure")
"""What concerns everybody is told over the whole width."""


def ladder(diagram: Diagram, *, label: str, anchor: str) -> Markup:
    """The diagram; `label` says what it is to those who can't see it, `anchor` becomes the id of what failed."""
    names = [*diagram.lifelines, *([f"{diagram.others} others"] if diagram.others else [])]
    apart = min(max(_WIDTH / max(1, len(names)), _CLOSEST), _WIDEST)
    places = [_STACK, *(round(_STACK + (number + 1) * apart) for number in range(len(names)))]
    width, height = places[-1] + 70, len(diagram.rows) * ROW + 8
    corner = _svg("corner", SECONDS, HEAD, [_text(SECONDS - 10, 22, "seconds", anchor="end")])
    heads = _svg("heads", width, HEAD, _heads(zip(places, [STACK, *names], strict=True)))
    lines = [Markup('<line class="life" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(place, height) for place in places]
    content = [
        *lines,
        *_bands(diagram.rows, width),
        *(_stretch(one, number) for number, one in enumerate(diagram.stretches)),
    ]
    for number, row in enumerate(diagram.rows):
        if row.way in _BARS:
            content.append(_bar(number, row, width, anchor))
        else:
            content.append(_row(number, row, places[diagram.lifeline(row.actor)], width))
    return Markup(
        '<div class="ladder" tabindex="0" role="group" aria-label="{}">'
        '<div class="names" aria-hidden="true">{}{}</div><div class="story" aria-hidden="true">{}{}</div></div>'
    ).format(label, corner, heads, _seconds(diagram.rows, height), _svg("events", width, height, content))


def _svg(kind: str, width: int, height: int, content: Iterable[Markup]) -> Markup:
    return Markup('<svg class="{}" width="{}" height="{}">{}</svg>').format(
        kind, width, height, Markup("").join(content)
    )


def _heads(names: Iterable[tuple[int, str]]) -> list[Markup]:
    return [
        Markup('<g class="name{}"><title>{}</title>{}</g>').format(
            " stack" if number == 0 else "", name, _text(place, 22, _cut(name, _HEAD_LETTERS), anchor="middle")
        )
        for number, (place, name) in enumerate(names)
    ]


def _seconds(rows: Iterable[Row], height: int) -> Markup:
    texts = [
        _text(SECONDS - 10, number * ROW + _WORDS + (6 if row.way in _BARS else 4), f"{row.at:.2f}", "end")
        for number, row in enumerate(rows)
        if row.way != "left out"
    ]
    return _svg("seconds", SECONDS, height, texts)


def _bands(rows: Iterable[Row], width: int) -> list[Markup]:
    """What lies behind a whole row: steps, what was left out, the failure."""
    return [
        Markup('<rect class="{}{}" x="0" y="{}" width="{}" height="{}"/>').format(
            row.way.replace(" ", "-"), " bad" if row.bad else "", number * ROW + 4, width, ROW - 6
        )
        for number, row in enumerate(rows)
        if row.way in _BARS
    ]


def _stretch(stretch: Stretch, number: int) -> Markup:
    """A fault beside the stack's lifeline; of several at a time the next lies further out."""
    left = _STACK - 14 - (number % 4) * 8
    top = stretch.first * ROW + _LINE
    height = max(6, (stretch.last - stretch.first) * ROW)
    return Markup('<g class="stretch"><title>{}</title><rect x="{}" y="{}" width="6" height="{}" rx="3"/></g>').format(
        stretch.what, left, top, height
    )


def _bar(number: int, row: Row, width: int, anchor: str) -> Markup:
    """What concerns everybody: a step, what was left out, the failure."""
    y = number * ROW + _WORDS + 6
    begin = "✘  " if row.way == "failure" else ""
    room = int((width - _TEXT - _MARGIN) / _CHARACTER) - len(begin) - len(row.title)
    title = _text(width - _MARGIN, y, row.title, anchor="end") if row.title else ""
    name = Markup(' id="{}"').format(anchor) if row.way == "failure" else ""
    return Markup('<g class="bar {}{}"{}><title>{}</title>{}{}</g>').format(
        row.way.replace(" ", "-"),
        " bad" if row.bad else "",
        name,
        row.text,
        _text(_TEXT, y, f"{begin}{_cut(row.text, room)}"),
        title,
    )


def _row(number: int, row: Row, place: int, width: int) -> Markup:
    """What one actor did, got or saw."""
    top = number * ROW
    actor = "" if row.actor == STACK else row.actor
    room = int((width - _TEXT) / _CHARACTER) - len(actor) - 1
    words = Markup('<text x="{}" y="{}"><tspan class="actor">{}</tspan> <tspan>{}</tspan></text>').format(
        _TEXT, top + _WORDS, actor, _cut(row.text, room)
    )
    hover = f"{row.at:.3f} s  {actor} {row.text}\n{row.title}".strip()
    return Markup('<g class="{} {}{}"><title>{}</title>{}{}</g>').format(
        row.kind, row.way, " bad" if row.bad else "", hover, _arrow(row, place, top), words
    )


def _arrow(row: Row, place: int, top: int) -> Markup:
    """The arrow of a row, or the sign at the end of a dotted line that ties what is told to its lifeline."""
    y = top + _LINE
    line = Markup('<line class="arrow" x1="{}" x2="{}" y1="{y}" y2="{y}"/>')
    if row.way == "note":
        tie = line.format(_TEXT, place - 8, y=y) if place > _STACK else Markup("")
        return tie + _sign(row, place, y)
    if row.way == "in":
        head, start, end = _STACK + 2, place, _STACK + 8
        tip = f"{head},{y} {head + 9},{y - 4.5} {head + 9},{y + 4.5}"
    else:
        head, start, end = place - 2, _STACK, place - 8
        tip = f"{head},{y} {head - 9},{y - 4.5} {head - 9},{y + 4.5}"
    start_mark = Markup('<circle class="from" cx="{}" cy="{}" r="3"/>').format(start, y)
    return line.format(start, end, y=y) + Markup('<polygon class="tip" points="{}"/>').format(tip) + start_mark


def _sign(row: Row, place: int, y: int) -> Markup:
    match row.kind:
        case "sees" if not row.bad:
            return Markup('<circle class="seen" cx="{}" cy="{}" r="5"/>').format(place, y)
        case "mended":
            return Markup('<circle class="mended" cx="{}" cy="{}" r="5"/>').format(place, y)
        case "console":
            return Markup('<path class="told" d="M{} {}l6 10h-12Z"/>').format(place, y - 5)
        case _:
            return Markup('<path class="cross" d="M{0} {1}l9 9m0-9l-9 9"/>').format(place - 4.5, y - 4.5)


def _text(x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _cut(text: str, letters: int) -> str:
    """The beginning of a text that has room for so many letters; those of East Asia and pictures are twice as wide."""
    used = 0
    for number, letter in enumerate(text):
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > letters:
            return f"{text[: max(0, number - 1)]}…"
    return text
