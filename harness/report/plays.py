"""The page of a run: its verdict, a section for each play, the ends of the logs where something failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harness.play.runner import Play
from harness.report.attachments import file_link, files_of, pictures_of, traces_of
from harness.report.charts import Band, Bar, Lane, Mark, bars, lanes, sign, track
from harness.report.cleaning import Cleaner
from harness.report.data import step_at
from harness.report.evidence import LOG_LINE, TEXT, diagram_of, faults_table, logs_of, stretches_of
from harness.report.facts import Log
from harness.report.page import Section, date, render, seconds, table, write_page
from harness.report.story import PICTURE_BYTES, Pictures, room_for_moments, thin

if TYPE_CHECKING:
    from harness.play.moments import Moment

MOST_LANES = 12
KINDS = {
    "does": "does something",
    "sees": "sees what was claimed",
    "frame": "a live frame arrives",
    "request": "a request",
    "screenshot": "a picture",
    "console": "a message in the console",
    "fault": "a fault or trouble",
}
_PLURALS = {"does": "actions", "sees": "sightings", "frame": "frames", "request": "requests", "screenshot": "pictures"}
_PLURALS |= {"console": "console messages", "fault": "faults"}


def write_plays_page(
    path: Path, content: dict[str, Any], plays: Sequence[Play], *, cleaner: Cleaner, logs: Sequence[Log]
) -> None:
    """Write the page of a run to `path`, in its run folder. `content`: its report as data."""
    entries = content["scenarios"]
    failed = [entry for entry in entries if entry["failure"] is not None]
    pictures = Pictures(PICTURE_BYTES)
    # What failed gets its pictures first, should there be too many.
    order = sorted(range(len(plays)), key=lambda index: plays[index].failure is None)
    room = room_for_moments(len(plays))
    made = {
        index: _play_section(
            index + 1,
            entries[index],
            plays[index],
            of=len(plays),
            path=path,
            pictures=pictures,
            cleaner=cleaner,
            room=room,
        )
        for index in order
    }
    write_page(
        path,
        title=_verdict(len(entries), len(failed), content["skipped"]),
        eyebrow=f"Run {content['run']}",
        good=content["passed"],
        lead=_lead(entries, content["skipped"]),
        facts=_facts(content),
        sections=[*(made[index] for index in range(len(plays))), _run_section(path, content, logs, cleaner)],
    )


def _verdict(plays: int, failed: int, skipped: int) -> str:
    played = plays - skipped
    if not played:
        return "Nothing was played"
    if not failed:
        return "The play passed" if played == 1 else f"All {played} plays passed"
    return "The play failed" if played == 1 else f"{failed} of {played} plays failed"


def _lead(entries: Sequence[dict[str, Any]], skipped: int) -> str:
    over = sum(step["over_budget"] for entry in entries for step in entry["steps"])
    steps = sum(len(entry["steps"]) for entry in entries)
    left = f"{skipped} {'was' if skipped == 1 else 'were'} skipped." if skipped else ""
    if not steps:
        return left
    slow = "all within their budgets" if not over else f"{over} over {'its budget' if over == 1 else 'their budgets'}"
    return f"{steps} {'step' if steps == 1 else 'steps'}, {slow}. {left}".strip()


def _facts(content: dict[str, Any]) -> list[tuple[str, str | Markup]]:
    facts: list[tuple[str, str | Markup]] = []
    if content["began"]:
        facts.append(("Began", date(content["began"])))
    facts.append(("Took", seconds(content["seconds"])))
    facts.append(("Played against", content["app"]))
    if content["resources"]:
        names = (name if count == 1 else f"{count} × {name}" for name, count in content["resources"].items())
        facts.append(("Stack", ", ".join(names)))
    facts += [
        (name, content["versions"][key])
        for name, key in (("Checkout", "checkout"), ("Python", "Python"))
        if key in content["versions"]
    ]
    return facts


def _play_section(
    number: int,
    entry: dict[str, Any],
    play: Play,
    *,
    of: int,
    path: Path,
    pictures: Pictures,
    cleaner: Cleaner,
    room: int,
) -> Section:
    anchor = f"play-{number}"
    failure = entry["failure"]
    thinned = thin(play.moments, room)
    shown = [_shown(one, cleaner) for one in thinned.shown]
    embedded, loose = pictures_of(entry, play, pictures, folder=path.parent, anchor=anchor)
    body = render(
        "play.html",
        anchor=anchor,
        number=number,
        of=of,
        play=entry,
        over=sum(step["over_budget"] for step in entry["steps"]),
        claim=failure and _sentence(failure["claim"]),
        failed_step=failure and failure["step"] and entry["steps"][failure["step"] - 1],
        trace=cleaner.text(play.trace),
        gauges=[_gauge(step) for step in entry["steps"]],
        pictures=embedded,
        loose=loose,
        diagram=diagram_of(play, cleaner, failure=failure and entry["verdict"][0], anchor=f"{anchor}-failure"),
        faults=faults_table(play, cleaner),
        logs=logs_of(play, cleaner) if failure else [],
        lanes=_lanes(play, shown, cleaner) if shown else None,
        legend=[(kind, words) for kind, words in KINDS.items() if any(one["kind"] == kind for one in shown)],
        sign=sign,
        left_out=_counted(thinned.left_out),
        shown=shown,
        moments=_moments_table(shown, play),
        deliveries=_timings(entry["deliveries"]),
        requests=_timings(entry["requests"]),
        troubles=_troubles(entry),
        files=files_of(play.evidence, path.parent),
        traces=traces_of(play.evidence, path.parent),
    )
    title = f"{entry['title']} (in a browser)" if entry["eyes"] else entry["title"]
    if play.skipped is not None:
        return Section(anchor=anchor, title=title, body=body, note="skipped")
    return Section(anchor=anchor, title=title, body=body, note=seconds(entry["seconds"]), good=entry["passed"])


def _run_section(path: Path, content: dict[str, Any], logs: Sequence[Log], cleaner: Cleaner) -> Section:
    anchor = "run"
    cleaned = [
        {
            "name": log.name,
            "lines": [cleaner.text(line, limit=LOG_LINE) for line in log.lines],
            "troubled": log.troubled,
        }
        for log in logs
    ]
    folder = path.parent
    places = [
        *sorted(folder.glob("report.json")),
        *sorted(folder.glob("junit.xml")),
        *sorted(folder.glob("logs/*.log")),
    ]
    files = [file_link(place, folder) for place in places]
    body = render("run.html", anchor=anchor, logs=cleaned, files=files, versions=content["versions"])
    return Section(anchor=anchor, title="Logs and files of the run", body=body)


def _shown(one: Moment, cleaner: Cleaner) -> dict[str, Any]:
    text = " ".join(cleaner.text(one.text, limit=TEXT).split())
    return {
        "at": one.at,
        "actor": cleaner.text(one.actor, limit=TEXT),
        "kind": one.kind,
        "text": text,
        "failed": one.failed,
    }


def _lanes(play: Play, shown: Sequence[dict[str, Any]], cleaner: Cleaner) -> Markup:
    length = max([play.seconds, *(one["at"] for one in shown)])
    counts: dict[str, Counter[str]] = {}
    for (actor, kind), count in Counter((moment.actor, moment.kind) for moment in play.moments).items():
        counts.setdefault(cleaner.text(actor, limit=TEXT), Counter())[kind] += count
    bands = [
        Band(label=str(number), start=step.at, end=step.at + (step.seconds or 0.0), bad=step.error is not None)
        for number, step in enumerate(play.steps, 1)
        if step.at is not None
    ]
    actors: dict[str, list[dict[str, Any]]] = {}
    for one in shown:
        actors.setdefault(one["actor"], []).append(one)
    rows = [
        Lane(
            label=actor,
            note=_counted(counts[actor]),
            # Frames are many: drawn first, they hide nothing.
            marks=[
                Mark(at=one["at"], kind=one["kind"], title=f"{one['at']:.2f} s · {one['text']}", bad=one["failed"])
                for one in sorted(its, key=lambda one: (one["failed"], one["kind"] != "frame"))
            ],
        )
        for actor, its in _busiest(actors).items()
    ]
    drawn = lanes(rows, seconds=length, bands=bands, stretches=stretches_of(play, cleaner))
    left_out = len(actors) - len(rows)
    more = Markup('<p class="more">{} more did much the same; the table has them.</p>').format(left_out)
    return drawn + more if left_out else drawn


def _busiest(actors: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Those of a crowd who are drawn: where something failed, then those with most to tell."""

    def rank(actor: str) -> tuple[bool, int]:
        return any(one["failed"] for one in actors[actor]), len(actors[actor])

    kept = sorted(actors, key=rank, reverse=True)[:MOST_LANES]
    return {actor: its for actor, its in actors.items() if actor in kept}


def _moments_table(shown: Sequence[dict[str, Any]], play: Play) -> Markup:
    rows = [
        (
            f"{one['at']:.3f}",
            step_at(play.steps, one["at"]) or "",
            one["actor"],
            f"{one['kind']}, failed" if one["failed"] else one["kind"],
            one["text"],
        )
        for one in shown
    ]
    return table(("seconds", "step", "actor", "what", "text"), rows, caption="What happened, in order")


def _timings(rows: Sequence[dict[str, Any]]) -> Markup | None:
    if not rows:
        return None
    return bars(
        [
            Bar(
                label=f"{row['count']} × {row['name']}",
                values=(row["p50_ms"], row["p95_ms"], row["max_ms"]),
                note=" · ".join(_ms(row[key]) for key in ("p50_ms", "p95_ms", "max_ms")),
                warning=f"{row['failed']} failed" if row["failed"] else "",
            )
            for row in rows
        ]
    )


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _troubles(entry: dict[str, Any]) -> Markup | None:
    if not entry["troubles"]:
        return None
    rows = [(f"{one['at']:.3f}", one["actor"], one["kind"], one["text"]) for one in entry["troubles"]]
    return table(("seconds", "actor", "what", "text"), rows, caption="Console messages and what failed on the way")


def _gauge(step: dict[str, Any]) -> Markup | None:
    if step["budget"] is None:
        return None
    took = step["seconds"] or 0.0
    bad = step["over_budget"] or step["error"] is not None
    return track((took,), top=step["budget"], limit=step["budget"] if step["over_budget"] else None, bad=bad)


def _counted(kinds: dict[str, int]) -> str:
    """``3 frames, 1 picture``."""
    return ", ".join(
        f"{count:,} {_PLURALS[kind].removesuffix('s') if count == 1 else _PLURALS[kind]}"
        for kind in KINDS
        if (count := kinds.get(kind, 0))
    )


def _sentence(claim: str) -> str:
    claim = claim[:1].upper() + claim[1:]
    return claim if claim.endswith((".", "!", "?", ":")) else f"{claim}."
