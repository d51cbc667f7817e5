"""``python -m benchmarks ssr``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from benchmarks.ssr import data, page
from benchmarks.ssr.measure import WrongAnswer
from benchmarks.ssr.run import BARS, Size, compare
from benchmarks.ssr.servers import builds, serving
from harness import HarnessError, StackOptions, start_stack
from harness.folders import Folders

REPORT = "bench-ssr.html"
SERVICES = frozenset({"postgres", "redis", "prepare"})


@click.command(
    epilog="""\b
Examples:
  python -m benchmarks ssr
  python -m benchmarks ssr --json ssr.json
  python -m benchmarks ssr --rounds 3 --seconds 1      a quick look
"""
)
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
@click.option("--rounds", type=click.IntRange(1), default=Size.rounds, show_default=True)
@click.option("--requests", type=click.IntRange(1), default=Size.requests, show_default=True, help="A latency turn's.")
@click.option("--seconds", type=click.FloatRange(0.1), default=Size.seconds, show_default=True, help="A load turn's.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=Size.concurrency, show_default=True)
def ssr(file: Path | None, rounds: int, requests: int, seconds: float, concurrency: int) -> None:
    """A page through Django, against its parts and against django-nextjs.

    Each side has one Django and one renderer; both check the session and read the same rows by the same queries.
    """
    size = Size(rounds=rounds, requests=requests, seconds=seconds, concurrency=concurrency)
    folders = Folders.of_checkout()
    try:
        own, peer = builds(folders)
        with start_stack(StackOptions(services="embedded", resources=SERVICES)) as stack:
            measured = data.make(stack)
            with serving(stack, own, peer, folders=folders) as servers:
                result, size_of_data = asyncio.run(compare(servers, measured, size, _told))
            record = result.record(size, size_of_data)
            report = stack.folder / REPORT
            page.write(report, result, record)
    except (HarnessError, WrongAnswer) as error:
        raise click.ClickException(f"{error} {getattr(error, 'hint', '')}".strip()) from error
    if file is not None:
        file.write_text(f"{json.dumps(record, indent=2)}\n", encoding="utf-8")
    click.echo()
    for bar in BARS:
        ratio = result.ratios[bar.ratio]
        click.echo(f"{bar.about:<40} {ratio:6.2f}   {bar.text:<20} {bar.judge(ratio).value}")
    click.echo(f"report: {report}")


def _told(line: str) -> None:
    click.echo(line, err=True)
