"""The parts of a play's section that explain a failure: the sequence diagram, the faults, what the resources wrote."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from harness.play.clues import figures, trouble_in
from harness.play.runner import Play
from harness.report.charts import Stretch
from harness.report.cleaning import Cleaner
from harness.report.ladder import ladder
from harness.report.page import seconds, table
from harness.report.sequence import diagram

TEXT = 240
"""Characters of a text in the diagram."""
LOG_LINE = 600
"""Characters of a line of a log that are shown."""
LOG_LINES = 30
"""Lines of a log that are shown at once; the older ones are folded away."""


def diagram_of(play: Play, cleaner: Cleaner, *, failure: str | None, anchor: str) -> Markup | None:
    """The sequence diagram of a play; None if nobody did or saw anything.

    `failure`: what failed, in a line, if something did, and `anchor` the id that it gets.
    """
    drawn = diagram(play, lambda text: " ".join(cleaner.text(text, limit=TEXT).split()), failure=failure)
    if not drawn.lifelines:
        return None
    label = f"Sequence diagram of {play.name}; the table of moments says the same in words"
    return ladder(drawn, label=label, anchor=anchor)


def stretches_of(play: Play, cleaner: Cleaner) -> list[Stretch]:
    """The faults as stretches of time."""
    return [
        Stretch(
            label=cleaner.text(one.what, limit=TEXT),
            start=one.began,
            end=play.seconds if one.ended is None else one.ended,
            note=cleaner.text(figures(one), limit=TEXT),
        )
        for one in play.faults
    ]


def faults_table(play: Play, cleaner: Cleaner) -> Markup | None:
    """The faults with their times and what they bit; None if there were none."""
    if not play.faults:
        return None
    rows = [
        (
            cleaner.text(one.what, limit=TEXT),
            f"{one.began:.2f} s",
            "not undone" if one.ended is None else f"{one.ended:.2f} s",
            seconds((play.seconds if one.ended is None else one.ended) - one.began),
            cleaner.text(figures(one), limit=TEXT) or "nothing was counted",
        )
        for one in play.faults
    ]
    return table(("what", "from", "to", "how long", "what it bit"), rows, caption="Faults")


def logs_of(play: Play, cleaner: Cleaner) -> list[dict[str, Any]]:
    """What the resources wrote in the step that failed, the troubled ones first.

    Of each the newest lines, the older ones apart, and what looks like trouble in it.
    """
    told = []
    for one in play.logs:
        lines = [cleaner.text(line, limit=LOG_LINE) for line in one.lines]
        trouble = trouble_in(one.lines)
        told.append(
            {
                "name": cleaner.text(one.resource, limit=TEXT),
                "lines": lines[-LOG_LINES:],
                "older": lines[:-LOG_LINES],
                "left_out": one.left_out,
                "trouble": None if trouble is None else cleaner.text(trouble, limit=TEXT),
                "count": len(one.lines) + one.left_out,
            }
        )
    return sorted(told, key=lambda log: log["trouble"] is None)
