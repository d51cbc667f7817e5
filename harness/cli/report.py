"""``harness report``: where the report of a run lies."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

import click

from harness.cli.output import print_json
from harness.errors import NotRunning
from harness.folders import Folders

_PLAY = "Play something with: harness scenario"


@click.command(
    epilog="""\b
Examples:
  harness report                 the path of the newest report
  harness report --open          ... and show it in a browser
  harness report --run 20260101-120000-abcdef --json
"""
)
@click.option("--run", help="A run other than the newest one that has a report.")
@click.option("--open", "show", is_flag=True, help="Open it in a browser where there is a display.")
@click.option("--json", "as_json", is_flag=True, help='Print {"run", "html", "json", "junit"}: the paths of all.')
def report(run: str | None, show: bool, as_json: bool) -> None:
    """Print where the report of the newest run lies."""
    from harness.report import REPORT_HTML, REPORT_JSON, REPORT_JUNIT

    html = _find(Folders.of_checkout().runs, run, REPORT_HTML)
    folder = html.parent
    if as_json:
        paths = {"html": html, "json": folder / REPORT_JSON, "junit": folder / REPORT_JUNIT}
        print_json({"run": folder.name, **{name: str(path) for name, path in paths.items()}})
    else:
        click.echo(html)
    if show and not (_has_display() and webbrowser.open(html.as_uri())):
        click.secho("No browser can be opened here: open the file yourself.", fg="yellow", err=True)


def _find(runs: Path, run: str | None, name: str) -> Path:
    """The report of a run, by default of the newest that has one; raises NotRunning."""
    if run is None:
        # The name of a run begins with its date, so the last name is the newest.
        found = sorted(runs.glob(f"*/{name}"))
        if not found:
            raise NotRunning("No run in this checkout has a report.", hint=_PLAY)
        return found[-1]
    if "/" in run or not (runs / run).is_dir():
        raise NotRunning(f"There is no run {run} in this checkout.", hint="See the folder runs/ for all.")
    if not (runs / run / name).is_file():
        raise NotRunning(f"Run {run} has no report: nothing was played in it.", hint=_PLAY)
    return runs / run / name


def _has_display() -> bool:
    """Whether a window could be seen: else a browser of the terminal might take it over."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
