"""``python -m benchmarks live``."""

from __future__ import annotations

import json
from pathlib import Path

import click
import uvloop

from benchmarks.bars import Verdict
from benchmarks.live import data, page
from benchmarks.live.crowd import Failed
from benchmarks.live.result import Result
from benchmarks.live.run import compare, measure_inserts, raise_file_limit
from benchmarks.live.servers import Servers
from benchmarks.live.turns import Place, Size
from harness import HarnessError, StackOptions, start_stack
from harness.folders import Folders

REPORT = "bench-live.html"
SERVICES = frozenset({"postgres", "redis", "prepare"})
QUICK = Size(sockets=40, rounds=1, changes=3, seconds=1.0, rows=500, singles=50)


@click.command(
    epilog="""\b
Examples:
  python -m benchmarks live
  python -m benchmarks live --json live.json
  python -m benchmarks live --sockets 500 --rounds 3
  python -m benchmarks live --quick                    shows that it works, its figures say little
"""
)
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there.")
@click.option("--sockets", type=click.IntRange(10), help=f"The most of them.  [default: {Size.sockets}]")
@click.option("--rounds", type=click.IntRange(1), help=f"Turns of each server.  [default: {Size.rounds}]")
@click.option("--seconds", type=click.FloatRange(0.1), help=f"A turn's at a fixed rate.  [default: {Size.seconds:g}]")
@click.option("--quick", is_flag=True, help="Everything once, and little of it.")
def live(file: Path | None, sockets: int | None, rounds: int | None, seconds: float | None, quick: bool) -> None:
    """From a change to the last of thousands of sockets, against three other servers.

    Each server is one process; one program is the client of them all, and all send messages of the same size.
    """
    base = QUICK if quick else Size()
    size = Size(
        sockets=sockets or base.sockets,
        rounds=rounds or base.rounds,
        changes=base.changes,
        seconds=seconds or base.seconds,
        rows=base.rows,
        singles=base.singles,
    )
    folders = Folders.of_checkout()
    try:
        raise_file_limit(size.sockets)
        with start_stack(StackOptions(services="embedded", resources=SERVICES)) as stack:
            servers = Servers(stack, folders)
            measured = data.make(stack, sockets=size.sockets)
            services = stack.direct
            place = Place(database=services["DATABASE_URL"], redis=services["REDIS_URL"], measured=measured)
            result: Result = uvloop.run(compare(servers, place, size, _told))
            measure_inserts(place, size, result, _told)
            record = result.record(size)
            report = stack.folder / REPORT
            page.write(report, result, record)
    except (HarnessError, Failed) as error:
        raise click.ClickException(f"{error} {getattr(error, 'hint', '')}".strip()) from error
    if file is not None:
        file.write_text(f"{json.dumps(record, indent=2)}\n", encoding="utf-8")
    click.echo()
    for limit, value in result.judged:
        verdict: Verdict = limit.judge(value)
        click.echo(f"{limit.about:<50} {value:8.2f}   {limit.text:<22} {verdict.value}")
    click.echo(f"report: {report}")


def _told(line: str) -> None:
    click.echo(line, err=True)
