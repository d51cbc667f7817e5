"""The result as a page: figures beside their bars, last deliveries and percentiles as bars, every round as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from benchmarks.bars import Verdict
from benchmarks.live.result import OFTEN, SERVERS, SUBJECTS, Result
from harness.report.charts import Bar, bars
from harness.report.page import Section, table, write_page

ABOUT = (
    "One change to every socket of one server process: this engine from commit to client, and its hub without a"
    " database, beside a stock Channels consumer, a bare ASGI application and socket.io; one client program for all."
)


def write(path: Path, result: Result, record: dict[str, Any]) -> None:
    """Write it; `record` is what the JSON file holds."""
    judged = [(limit, value, limit.judge(value)) for limit, value in result.judged]
    held = sum(verdict is not Verdict.MISSED for _limit, _value, verdict in judged)
    machine, versions = record["machine"], record["versions"]
    write_page(
        path,
        title=f"{held} of {len(judged)} bars hold",
        eyebrow="Benchmark: live engine",
        good=held == len(judged),
        lead=ABOUT,
        facts=[
            ("sockets", str(result.sizes[-1])),
            ("stock consumer's capacity", f"{result.capacity:.1f} changes a second"),
            ("machine", f"{machine['cores']} cores, {machine['platform']}"),
            *((name, number) for name, number in versions.items()),
        ],
        sections=[
            _section(
                "bars",
                "Bars",
                table(
                    ("what", "measured", "bar", "verdict"),
                    [(limit.about, value, limit.text, verdict.value) for limit, value, verdict in judged],
                    caption="Medians of the rounds, taken side by side in one run; ratios are ours / theirs",
                ),
                good=held == len(judged),
            ),
            *(_last(result, sockets) for sockets in reversed(result.sizes)),
            _paced(result, OFTEN, "often", "Five changes a second"),
            _paced(result, result.half, "half", "Half of what the stock consumer can"),
            _section(
                "sockets",
                "Sockets",
                table(
                    ("server", "connects a second", "KiB each, idle", "all back at once, s"),
                    [(name, *record["sockets"][name].values()) for name in SERVERS],
                    caption="Signed-in users, one socket each; this engine's get a snapshot when they connect",
                ),
            ),
            _section("rounds", "Every round", _rounds(record)),
        ],
    )


def _section(anchor: str, title: str, body: Markup, *, note: str = "", good: bool | None = None) -> Section:
    headed = Markup('<h2 id="{}-title">{}</h2>{}').format(anchor, title, body)
    return Section(anchor=anchor, title=title, body=headed, note=note, good=good)


def _last(result: Result, sockets: int) -> Section:
    found = [(subject, result.last_of(subject, sockets)) for subject in SUBJECTS]
    rows = [Bar(label=subject, values=(value,), note=f"{value:.1f} ms") for subject, value in found]
    return _section(f"last-{sockets}", f"Last of {sockets} sockets", bars(rows), note="median of changes one by one")


def _paced(result: Result, rate: float, anchor: str, title: str) -> Section:
    rows = []
    for subject in SUBJECTS:
        found = result.paced_of(subject, rate)
        if found is None:
            rows.append(Bar(label=subject, values=(), note="", warning="more than it can"))
        else:
            rows.append(Bar(label=subject, values=found, note=" / ".join(f"{value:.1f}" for value in found) + " ms"))
    return _section(anchor, title, bars(rows), note="p50, p95, p99 of all deliveries")


def _rounds(record: dict[str, Any]) -> Markup:
    raw = record["raw"]
    last = table(
        ("who", "sockets", "changes", "fastest, ms", "slowest, ms"),
        [
            (row["subject"], row["sockets"], len(row["ms"]), round(min(row["ms"]), 1), round(max(row["ms"]), 1))
            for row in raw["last"]
        ],
        caption="Last deliveries, in the order in which they were measured",
    )
    paced = table(
        ("who", "a second", "changes", "began late", "p50, ms", "p95, ms", "p99, ms"),
        [
            (
                row["subject"],
                round(row["rate"], 2),
                row["changes"],
                row["missed"],
                *(round(row[name], 1) for name in ("p50", "p95", "p99")),
            )
            for row in raw["paced"]
        ],
        caption="At fixed rates",
    )
    inserted = table(
        ("table", "one statement, ms", "statements a second"),
        [(row["kind"], round(row["bulk"] * 1000), round(row["rate"])) for row in raw["inserts"]],
        caption="Inserts",
    )
    return last + paced + inserted
