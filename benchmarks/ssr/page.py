"""The result as a page: what was compared, the ratios beside their bars, every median as a bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from benchmarks.bars import Verdict
from benchmarks.ssr.run import BARS, Result
from harness.report.charts import Bar, bars
from harness.report.page import Section, table, write_page

ABOUT = "A page with fifty messages, asked for one at a time and several at once, each answer checked row by row."


def _section(anchor: str, title: str, body: Markup, *, note: str = "", good: bool | None = None) -> Section:
    headed = Markup('<h2 id="{}-title">{}</h2>{}').format(anchor, title, body)
    return Section(anchor=anchor, title=title, body=headed, note=note, good=good)


def write(path: Path, result: Result, record: dict[str, Any]) -> None:
    """Write it; `record` is what the JSON file holds."""
    verdicts = [bar.judge(result.ratios[bar.ratio]) for bar in BARS]
    held = sum(verdict is not Verdict.MISSED for verdict in verdicts)
    machine, versions = record["machine"], record["versions"]
    write_page(
        path,
        title=f"{held} of {len(BARS)} bars hold",
        eyebrow="Benchmark: server-side rendering",
        good=held == len(BARS),
        lead=ABOUT,
        facts=[
            ("page data", f"{record['page_data_bytes'] / 1000:.0f} KB"),
            ("machine", f"{machine['cores']} cores, {machine['platform']}"),
            *((name, number) for name, number in versions.items()),
        ],
        sections=[
            _section(
                anchor="ratios",
                title="Ratios",
                good=held == len(BARS),
                body=table(
                    ("ratio", "measured", "bar", "verdict"),
                    [
                        (bar.about, result.ratios[bar.ratio], bar.text, verdict.value)
                        for bar, verdict in zip(BARS, verdicts, strict=True)
                    ],
                    caption="Medians of the rounds, taken side by side in one run",
                ),
            ),
            _section(
                anchor="latency",
                title="One at a time",
                note="median of an answer",
                body=bars(
                    [
                        Bar(label=name, values=(value,), note=f"{value:.1f} ms")
                        for name, value in record["p50_ms"].items()
                    ]
                ),
            ),
            _section(
                anchor="throughput",
                title=f"{record['size']['concurrency']} at once",
                note="answers a second",
                body=bars(
                    [
                        Bar(label=name, values=(value,), note=f"{value:.0f} a second")
                        for name, value in record["rate_per_s"].items()
                    ]
                ),
            ),
            _section(
                anchor="rounds",
                title="Every round",
                body=table(
                    ("measure", "what", "at once", "answers", "p50 in ms", "a second"),
                    [
                        (
                            row["measure"],
                            row["subject"],
                            row["concurrency"],
                            row["answers"],
                            row["p50_ms"],
                            row["rate_per_s"],
                        )
                        for row in record["raw"]
                    ],
                    caption="In the order in which they were measured",
                ),
            ),
        ],
    )
