"""``harness report``: where the report of a run lies, which runs there are, and making room."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.output import print_json
from harness.errors import NotRunning
from harness.folders import Folders

if TYPE_CHECKING:
    from harness.report.runs import Run

KEEP = 10
"""Runs that are left when old ones are removed."""

_COLOURS: dict[str, dict[str, Any]] = {
    "passed": {"fg": "green"},
    "failed": {"fg": "red", "bold": True},
    "unreadable": {"fg": "yellow"},
}
_PLAY = "Play something with: harness scenario"


@click.command(
    epilog="""\b
Examples:
  harness report                 the path of the newest report
  harness report --open          ... and show it in a browser
  harness report --run 20260101-120000-abcdef --json
  harness report --list          all runs, newest first: verdict, plays, kind, size
  harness report --prune --keep 5
"""
)
@click.option("--run", help="A run other than the newest one that has a report.")
@click.option("--open", "show", is_flag=True, help="Open it in a browser where there is a display.")
@click.option("--list", "as_list", is_flag=True, help="List all runs instead, the newest first.")
@click.option("--prune", is_flag=True, help="Remove the folders of old runs instead; those that are alive stay.")
@click.option("--keep", type=click.IntRange(min=0), help=f"How many of the newest --prune leaves.  [default: {KEEP}]")
@click.option("--json", "as_json", is_flag=True, help='Print {"run", "html", "json", "junit"}, or the list, as JSON.')
def report(run: str | None, show: bool, as_list: bool, prune: bool, keep: int | None, as_json: bool) -> None:
    """Print where the report of the newest run lies.

    Every start keeps the 30 newest runs; --prune makes room at once.

    \b
    With --json:
      --list   [{"run", "began", "kind", "alive", "verdict", "plays", "failed", "skipped", "bytes", "html"}]
      --prune  {"removed": [...], "bytes": how much was freed, "kept": how many runs are left}
    """
    if as_list + prune + (run is not None or show) > 1:
        raise click.UsageError("Choose one: --list, --prune, or a report with --run and --open.")
    if keep is not None and not prune:
        raise click.UsageError("--keep says how many runs --prune leaves: add --prune.")
    folders = Folders.of_checkout()
    if as_list:
        _list(folders, as_json=as_json)
    elif prune:
        _prune(folders, KEEP if keep is None else keep, as_json=as_json)
    else:
        _tell(folders, run, show=show, as_json=as_json)


def _tell(folders: Folders, run: str | None, *, show: bool, as_json: bool) -> None:
    from harness.report import REPORT_HTML, REPORT_JSON, REPORT_JUNIT

    html = _find(folders.runs, run, REPORT_HTML)
    folder = html.parent
    if as_json:
        paths = {"html": html, "json": folder / REPORT_JSON, "junit": folder / REPORT_JUNIT}
        print_json({"run": folder.name, **{name: str(path) for name, path in paths.items()}})
    else:
        click.echo(html)
    if show and not (_has_display() and webbrowser.open(html.as_uri())):
        click.secho("No browser can be opened here: open the file yourself.", fg="yellow", err=True)


def _list(folders: Folders, *, as_json: bool) -> None:
    from harness.report.attachments import sized
    from harness.report.runs import runs_in, total

    runs = runs_in(folders.runs)
    if as_json:
        print_json([one.record() for one in runs])
        return
    if not runs:
        click.echo("There has been no run in this checkout.")
        return
    rows = [("run", "began", "kind", "verdict", "plays", "size"), *map(_row, runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, one in zip(rows, (None, *runs), strict=True):
        *cells, size = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        verdict = {} if one is None else _COLOURS.get(one.verdict, {"dim": True})
        cells[3] = click.style(cells[3], **verdict)
        click.echo("  ".join([*cells, size.strip().rjust(widths[-1])]))
    click.echo(f"\n{_runs(runs)}, {sized(total(runs))}. Show one with: harness report --open --run RUN")


def _prune(folders: Folders, keep: int, *, as_json: bool) -> None:
    from harness.report.attachments import sized
    from harness.report.runs import prune, runs_in, total

    removed = prune(folders, keep=keep)
    left = runs_in(folders.runs)
    if as_json:
        print_json({"removed": [one.run for one in removed], "bytes": total(removed), "kept": len(left)})
    elif removed:
        click.echo(f"Removed {_runs(removed)} and freed {sized(total(removed))}; {_runs(left)} left.")
    else:
        click.echo(f"Nothing to remove: {_runs(left)} there.")


def _row(run: Run) -> tuple[str, ...]:
    from harness.report.attachments import sized

    began = "" if run.began is None else f"{run.began:%d %b %H:%M}"
    kind = f"{run.kind} (alive)" if run.alive else run.kind
    return run.run, began, kind, run.verdict, _plays(run), sized(run.size)


def _plays(run: Run) -> str:
    if not run.plays:
        return ""
    parts = [f"{count} {name}" for name, count in (("failed", run.failed), ("skipped", run.skipped)) if count]
    return f"{run.plays} ({', '.join(parts)})" if parts else str(run.plays)


def _runs(runs: Sequence[Run]) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"


def _find(runs: Path, run: str | None, name: str) -> Path:
    """The report of a run, by default of the newest that has one; raises NotRunning."""
    if run is None:
        # The name of a run begins with its date, so the last name is the newest.
        found = sorted(runs.glob(f"*/{name}"))
        if not found:
            raise NotRunning("No run in this checkout has a report.", hint=_PLAY)
        return found[-1]
    if "/" in run or not (runs / run).is_dir():
        raise NotRunning(f"There is no run {run} in this checkout.", hint="See all with: harness report --list")
    if not (runs / run / name).is_file():
        raise NotRunning(f"Run {run} has no report: nothing was played in it.", hint=_PLAY)
    return runs / run / name


def _has_display() -> bool:
    """Whether a window could be seen: else a browser of the terminal might take it over."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
