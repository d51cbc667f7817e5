"""``harness scenario`` and ``harness demo``: scenarios for developers and for an audience."""

from __future__ import annotations

import os
import select
import sys
import termios
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.output import make_console, print_json
from harness.cli.seats import EYES, KEEP, Seats, seats
from harness.cli.venue import Venue, elsewhere, here, invited
from harness.errors import HarnessError, SupervisorGone
from harness.folders import Folders
from harness.services.choose import SERVICE_CHOICES, Choice

if TYPE_CHECKING:
    from rich.console import Console

    from harness.play.presenter import Presenter
    from harness.play.runner import Play
    from harness.play.scenario import Scenario
    from harness.stack import RunningStack

DEMO = "demo"
PACE = 1.5
"""Seconds that an audience gets to read a cue."""
FAILED = 1
_LISTEN_EVERY = 0.2

SERVICES = click.option(
    "--services",
    type=click.Choice(SERVICE_CHOICES),
    default="auto",
    show_default=True,
    help="Where Postgres and Redis of a stack that is started come from.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON; words go to stderr.")
REHEARSE = click.option("--rehearse", is_flag=True, help="A step over its budget fails.")


@click.command(
    epilog="""\b
Examples:
  harness scenario --list
  harness scenario two_people_chat
  harness scenario --eyes --keep
  harness scenario --json > report.json
  harness scenario --target https://stack.example.org --users people.json
  harness scenario --target https://stack.example.org --users people.json --safe
"""
)
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Only say which scenarios there are.")
@click.option("--target", metavar="URL", help="Play against a deployment that runs elsewhere.")
@click.option("--users", type=click.Path(path_type=Path), help="The people to play with at --target: a JSON file.")
@click.option("--safe", is_flag=True, help="Write nothing to a --target that does not say that it is for tests.")
@click.option("--yes", is_flag=True, help="Do not ask before writing to such a --target.")
@EYES
@KEEP
@SERVICES
@REHEARSE
@click.option("--seed", type=click.IntRange(0), help="Give the same chances again as a play that a report tells of.")
@AS_JSON
def scenario(
    names: tuple[str, ...],
    only_list: bool,
    target: str | None,
    users: Path | None,
    safe: bool,
    yes: bool,
    eyes: bool | None,
    keep: bool,
    services: Choice,
    rehearse: bool,
    seed: int | None,
    as_json: bool,
) -> int:
    """Play scenarios by name, all without names.

    They play on the stack that is up, or on a throwaway one, without browsers unless --eyes says so or a scenario
    can't do without. report.html, report.json and junit.xml are written to its run folder; the exit code is 1 if
    one failed.

    At a --target, what needs control of its processes is skipped by name. Unless it says that it is for development or
    tests, you are asked first, as scenarios write: --yes answers that, and with --safe no write leaves the harness
    (people only sign in and out), so that whatever would write is skipped. The file of --users is a list of
    {"name", "role", "password" or "session"}, as `harness manage actors --count N --json` prints it.
    """
    from harness.play.scenario import discover, pick

    picked = pick(discover(), names)
    if only_list:
        _list(picked, as_json=as_json)
        return 0
    if not picked:
        raise _nothing_to_play("no scenario in the folder scenarios")
    if (target is None) != (users is None):
        raise click.UsageError("--target and --users belong together: without the people nobody can sign in there.")
    if target is None and (safe or yes):
        raise click.UsageError("--safe and --yes are for a --target: a stack of one's own is there to be written to.")
    if safe and yes:
        raise click.UsageError("--safe says that nothing may be written, --yes that everything may: choose one.")
    console = make_console(stderr=as_json)
    guests = invited(target, users, safe=safe, yes=yes, console=console) if target and users else None
    seeing = [
        one
        for one in picked
        if (eyes or (eyes is None and one.eyes == "always")) and not (one.alone and guests is not None)
    ]
    opened = elsewhere(guests) if guests else here(services, console)
    with seats(seeing, console, keep=keep) as seated, opened as venue:
        plays, _ = _play(picked, venue, seated, console, rehearsal=rehearse, pace=0.0, seed=seed, as_json=as_json)
    return _code(plays)


@click.command(
    epilog="""\b
Examples:
  harness demo                     present everything, then stay up until Ctrl-C
  harness demo two_people_chat     one story alone
  harness demo --step              go on with Enter, at your own pace
  harness demo --no-eyes           in the terminal alone, without browsers
  harness demo --no-hold --rehearse
"""
)
@click.argument("names", nargs=-1)
@click.option("--no-hold", is_flag=True, help="End after the last scenario; so it is without a terminal.")
@click.option("--pace", type=click.FloatRange(0, 60), help=f"Seconds for each cue (a terminal: {PACE:g}, else 0).")
@click.option("--step", "by_hand", is_flag=True, help="Wait for Enter before each step; needs a terminal.")
@EYES
@KEEP
@SERVICES
@REHEARSE
@AS_JSON
def demo(
    names: tuple[str, ...],
    no_hold: bool,
    pace: float | None,
    by_hand: bool,
    eyes: bool | None,
    keep: bool,
    services: Choice,
    rehearse: bool,
    as_json: bool,
) -> int:
    """Present the scenarios: visible steps, cues, timing against budget.

    Plays on the stack that is up, or starts one, which stays up until Ctrl-C so that the audience can try it.
    Where a Chromium is found the people sit at browsers: in windows beside each other if there is a screen, else out
    of sight, with pictures of every step. The exit code is 1 if a scenario failed.
    """
    from harness.browser.chromium import find_chromium
    from harness.browser.driver import can_show
    from harness.play.errors import NeedsTerminal
    from harness.play.scenario import discover, pick

    picked = [one for one in pick(discover(), names) if names or DEMO in one.tags]
    if not picked:
        raise _nothing_to_play(f"no scenario with the tag {DEMO!r} in the folder scenarios")
    console = make_console(stderr=as_json)
    seen = console.is_terminal and sys.stdin.isatty()
    if by_hand and not seen:
        raise NeedsTerminal("--step waits for Enter, so it needs a terminal: leave it out here.")
    hold = seen and not no_hold
    if eyes is None:
        eyes = any(one.windows for one in picked) and find_chromium() is not None
    taken = seats(picked if eyes else [], console, keep=keep, visible=seen and can_show())
    with taken as seated, here(services, console) as venue:
        plays, presenter = _play(
            picked,
            venue,
            seated,
            console,
            rehearsal=rehearse,
            pace=(PACE if seen else 0.0) if pace is None else pace,
            wait=partial(_enter, console) if by_hand else None,
            as_json=as_json,
        )
        if venue.stack is not None:
            urls = venue.stack.urls
            presenter.invites(app=urls.app, admin=urls.admin, api=urls.api, users=venue.stack.users, run=venue.run)
            if hold and not venue.borrowed:
                _hold(venue.stack, console)
    return _code(plays)


def _nothing_to_play(what: str) -> HarnessError:
    from harness.play.errors import ScenarioNotFound

    return ScenarioNotFound(
        f"There is {what}, so nothing was played.", hint="Go to the root of the repository, or write one."
    )


def _code(plays: Sequence[Play]) -> int:
    """0 if everything that could be played passed. Raises HarnessError if nothing could."""
    if all(play.skipped is not None for play in plays):
        raise HarnessError(
            f"Nothing was played: {len(plays)} skipped, so nothing is proven.",
            hint="The reasons stand above. Play on a stack of your own with: harness scenario",
        )
    return FAILED if any(not play.passed and play.skipped is None for play in plays) else 0


def _play(
    scenarios: Sequence[Scenario],
    venue: Venue,
    seated: Seats,
    console: Console,
    *,
    rehearsal: bool,
    pace: float,
    as_json: bool,
    seed: int | None = None,
    wait: Callable[[], None] | None = None,
) -> tuple[list[Play], Presenter]:
    from rich.markup import escape

    from harness.play.presenter import Presenter
    from harness.play.runner import perform
    from harness.report import REPORT_HTML, REPORT_JSON, again, write_report
    from harness.report.cleaning import Cleaner
    from harness.report.github import annotate

    presenter = Presenter(console, pace=pace, wait=wait)
    options = (*venue.again, *(["--rehearse"] if rehearsal else []))
    plays: list[Play] = []
    try:
        for number, one in enumerate(scenarios, 1):
            presenter.opens(one, number=number, of=len(scenarios))
            play = perform(
                one,
                venue.target,
                venue.pool,
                observers=[presenter],
                rehearsal=rehearsal,
                folder=venue.folder,
                eyes=one in seated.seeing,
                browsers=seated.browsers,
                keep=seated.keep or None,
                seed=seed,
            )
            presenter.closes(play)
            plays.append(play)
    finally:
        write_report(
            venue.folder,
            plays,
            run=venue.run,
            app=venue.target.backends[0],
            repeat=lambda play: again(play, *options),
            secrets=venue.secrets,
        )
        annotate(
            plays,
            root=Folders.of_checkout().root,
            run=venue.run,
            cleaner=Cleaner.of_run(venue.folder, venue.secrets),
            # Whoever asked for JSON gets nothing else; the log that GitHub reads holds both.
            write=partial(click.echo, err=as_json),
        )
    presenter.ends(plays)
    console.print(f"report: {escape(str(venue.folder / REPORT_HTML))}", soft_wrap=True)
    if as_json:
        click.echo((venue.folder / REPORT_JSON).read_text(encoding="utf-8"), nl=False)
    return plays, presenter


def _enter(console: Console) -> None:
    """Wait for the presenter's Enter. Whatever was typed before the question does not answer it."""
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    console.print("  [bold reverse] Enter to go on [/] ", end="")
    try:
        # A Ctrl-C that comes just before a read begins would be heard only after it.
        while not select.select([sys.stdin], [], [], _LISTEN_EVERY)[0]:
            pass
        answer = os.read(sys.stdin.fileno(), 1024)
    except KeyboardInterrupt:
        console.print()
        raise
    if not answer:
        # Ctrl-D: whoever presents has nothing more to say.
        raise KeyboardInterrupt


def _hold(stack: RunningStack, console: Console) -> None:
    """Leave the stack to the audience until Ctrl-C. Raises `SupervisorGone` if it ends by itself."""
    try:
        console.print("[dim]End it with Ctrl-C.[/]")
        for snapshot in stack.watch():
            if snapshot.phase == "ending":
                console.print(f"The stack has ended: {snapshot.reason}.")
                return
    except KeyboardInterrupt:
        console.print("\nEnding the stack...")
    else:
        raise SupervisorGone("The stack of the demo has ended.", hint="Start again with: harness demo")


def _list(scenarios: Sequence[Scenario], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [{"name": one.name, "title": one.title, "tags": sorted(one.tags), "about": one.about} for one in scenarios]
        )
        return
    width = max((len(one.name) for one in scenarios), default=0)
    for one in scenarios:
        click.echo(f"{one.name:<{width}}  {one.title}  [{', '.join(sorted(one.tags))}]")
