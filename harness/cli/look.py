"""``harness status`` and ``harness logs``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import click

from harness.cli import INTERRUPTED
from harness.cli.output import LogPrinter, make_console, print_json, show_stack
from harness.errors import NotRunning
from harness.folders import Folders
from harness.stack import RunningStack, attach
from harness.stack.logs import Follower, Line, find_run, last_lines, log_names
from harness.stack.running import current_run

_POLL = 0.2


@click.command(
    epilog="""\b
Examples:
  harness status
  harness status --watch                         health, events, lag and log lines, until Ctrl-C
  harness status --json | jq .urls.app
  harness status --watch --json | jq .relay_lag  a line of JSON each second
"""
)
@click.option("--watch", is_flag=True, help="Stay and show what changes; without a terminal a line each second.")
@click.option("--sign-ins", is_flag=True, help="With --watch: show passwords too, which a screen that stays shows all.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON, sign-ins included (with --watch: not).")
@click.option("--run", help="A run other than the one that is up (or else the only one).")
def status(watch: bool, sign_ins: bool, as_json: bool, run: str | None) -> int:
    """Show the stack that is up, or else the only run: its resources, addresses and sign-ins.

    --watch adds the health of each backend, the events of a second, sockets, the last line of each log, and the relay
    lag: for how long the oldest change that is no event yet has been seen waiting (to a second).
    """
    if sign_ins and not watch:
        raise click.UsageError("--sign-ins is for --watch: without it they are shown anyhow.")
    stack = attach(run or current_run(Folders.of_checkout()))
    if watch:
        return _watch(stack, as_json=as_json, sign_ins=sign_ins)
    if as_json:
        print_json(stack.record())
        return 0
    console = make_console(stderr=False)
    console.print(f"[bold]run {stack.run_id}[/]\n")
    show_stack(console, stack)
    return 0


@click.command(
    epilog="""\b
Examples:
  harness logs                   the last lines of everything
  harness logs backend relay -f  follow two
  harness logs prepare -n 200 --run 20260101-120000-abcdef
"""
)
@click.argument("names", nargs=-1)
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--lines", "-n", type=click.IntRange(0), default=20, show_default=True, help="Last lines of each.")
@click.option("--run", help="A run other than the one that is up (or else the only one, or the newest).")
@click.option("--json", "as_json", is_flag=True, help='A line of JSON for each: {"resource", "text"}.')
def logs(names: tuple[str, ...], follow: bool, lines: int, run: str | None, as_json: bool) -> int:
    """Show what the resources wrote, each line behind its resource's name."""
    folder = find_run(Folders.of_checkout(), run)
    known = log_names(folder)
    chosen = _chosen(names, known, folder.name) if names else [name for name in known if name != "supervisor"]
    show: Callable[[Line], None] = LogPrinter(make_console(stderr=False), chosen)
    if as_json:
        show = _print_json_line
    follower = Follower(folder, chosen if names else None)
    for line in last_lines(folder, chosen, lines):
        show(line)
    try:
        while follow:
            for line in follower.new_lines():
                show(line)
            time.sleep(_POLL)
    except KeyboardInterrupt:
        # Nothing was started, so there is nothing to say about its end.
        return INTERRUPTED
    return 0


def _watch(stack: RunningStack, *, as_json: bool, sign_ins: bool) -> int:
    # Its libraries take a moment, and no other command needs them.
    from rich.console import Console

    from harness.cli.board import watch

    try:
        watch(stack, Console(highlight=False), as_json=as_json, sign_ins=sign_ins)
    except KeyboardInterrupt:
        # Nothing was started, so there is nothing to say about its end.
        return INTERRUPTED
    return 0


def _chosen(names: tuple[str, ...], known: tuple[str, ...], run: str) -> list[str]:
    """The logs that ``names`` mean; the name of a kind means all of that kind."""
    chosen: list[str] = []
    for name in names:
        found = [one for one in known if one == name or re.fullmatch(rf"{re.escape(name)}-\d+", one)]
        if not found:
            raise NotRunning(f"Run {run} has no log of {name!r}.", hint=f"There are: {', '.join(known)}.")
        chosen.extend(found)
    return chosen


def _print_json_line(line: Line) -> None:
    print_json({"resource": line.resource, "text": line.text})
