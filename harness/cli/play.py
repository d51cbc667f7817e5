"""``harness scenario`` and ``harness demo``: scenarios for developers and for an audience."""

from __future__ import annotations

import sys
import termios
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.output import StartProgress, make_console, print_json
from harness.cli.seats import EYES, KEEP, Seats, seats
from harness.errors import HarnessError, NotRunning, SupervisorGone
from harness.folders import Folders, private_folder
from harness.services.choose import CHOICES, Choice

if TYPE_CHECKING:
    from rich.console import Console

    from harness.play.people import Pool
    from harness.play.presenter import Presenter
    from harness.play.runner import Play
    from harness.play.scenario import Scenario
    from harness.play.stage import Target
    from harness.stack import RunningStack

DEMO = "demo"
PACE = 1.5
"""Seconds that an audience gets to read a cue."""
FAILED = 1

SERVICES = click.option(
    "--services",
    type=click.Choice(CHOICES),
    default="auto",
    show_default=True,
    help="Where Postgres and Redis of a stack that is started come from.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON; words go to stderr.")
REHEARSE = click.option("--rehearse", is_flag=True, help="A step over its budget fails.")


@dataclass(frozen=True, kw_only=True)
class _Venue:
    """Where scenarios are played; `stack` is None for one that somebody else runs."""

    target: Target
    pool: Pool
    folder: Path
    run: str
    stack: RunningStack | None
    borrowed: bool
    again: tuple[str, ...] = ()
    """Options of `harness scenario` that lead here again."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What the report must not tell, besides what lies in the run folder."""


@click.command(
    epilog="""\b
Examples:
  harness scenario --list
  harness scenario two_people_chat
  harness scenario --eyes --keep
  harness scenario --json > report.json
  harness scenario --url https://stack.example.org --users people.json
"""
)
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Only say which scenarios there are.")
@click.option("--url", help="Play against this address instead of a stack of this checkout.")
@click.option("--users", type=click.Path(path_type=Path), help="The people to play with at --url: a JSON file.")
@EYES
@KEEP
@SERVICES
@REHEARSE
@AS_JSON
def scenario(
    names: tuple[str, ...],
    only_list: bool,
    url: str | None,
    users: Path | None,
    eyes: bool | None,
    keep: bool,
    services: Choice,
    rehearse: bool,
    as_json: bool,
) -> int:
    """Play scenarios by name, all without names.

    They play on the stack that is up, or on a throwaway one, without browsers unless --eyes says so or a scenario
    can't do without. report.html, report.json and junit.xml are written to its run folder; the exit code is 1 if
    one failed.
    """
    from harness.play.scenario import discover, pick

    picked = pick(discover(), names)
    if only_list:
        _list(picked, as_json=as_json)
        return 0
    if not picked:
        raise _nothing_to_play("no scenario in the folder scenarios")
    if (url is None) != (users is None):
        raise click.UsageError("--url and --users belong together: without the people nobody can sign in there.")
    console = make_console(stderr=as_json)
    seeing = [one for one in picked if eyes or (eyes is None and one.eyes == "always")]
    with seats(seeing, console, keep=keep) as seated:
        opened = _elsewhere(url, users) if url and users else _here(services, console)
        with opened as venue:
            plays, _ = _play(picked, venue, seated, console, rehearsal=rehearse, pace=0.0, as_json=as_json)
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
    with taken as seated, _here(services, console) as venue:
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
    return 0 if all(play.passed for play in plays) else FAILED


def _play(
    scenarios: Sequence[Scenario],
    venue: _Venue,
    seated: Seats,
    console: Console,
    *,
    rehearsal: bool,
    pace: float,
    as_json: bool,
    wait: Callable[[], None] | None = None,
) -> tuple[list[Play], Presenter]:
    from rich.markup import escape

    from harness.play.presenter import Presenter
    from harness.play.runner import perform
    from harness.report import REPORT_HTML, REPORT_JSON, again, write_report

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
    presenter.ends(plays)
    console.print(f"report: {escape(str(venue.folder / REPORT_HTML))}", soft_wrap=True)
    if as_json:
        click.echo((venue.folder / REPORT_JSON).read_text(encoding="utf-8"), nl=False)
    return plays, presenter


@contextmanager
def _here(services: Choice, console: Console) -> Generator[_Venue]:
    """The stack that is up in this checkout, else a throwaway one with two backends."""
    from harness.play.people import people_of
    from harness.play.stage import Target
    from harness.stack import StackOptions, attach, start_stack

    try:
        stack, borrowed = attach(), True
        console.print(f"[dim]playing on the stack that is up, run {stack.run_id}[/]")
    except NotRunning:
        with StartProgress(console) as progress:
            options = StackOptions(services=services, scale={"backend": 2})
            stack, borrowed = start_stack(options, on_progress=progress), False
    # Closing lets go of a stack that somebody else started, and ends our own.
    with stack:
        yield _Venue(
            target=Target.of(stack),
            pool=people_of(stack),
            folder=stack.folder,
            run=stack.run_id,
            stack=stack,
            borrowed=borrowed,
        )


@contextmanager
def _elsewhere(url: str, users: Path) -> Generator[_Venue]:
    """A deployment that was not started here; only its address and people are known."""
    from harness.play.people import Pool, read_people
    from harness.play.stage import Target
    from harness.stack.start import new_run_id

    people = read_people(users)
    pool = Pool(people)
    run = new_run_id()
    runs = private_folder(Folders.of_checkout().runs)
    yield _Venue(
        target=Target(backends=(url.rstrip("/"),)),
        pool=pool,
        folder=private_folder(runs / run),
        run=run,
        stack=None,
        borrowed=True,
        again=("--url", url, "--users", str(users)),
        secrets=tuple(one for person in people for one in (person.password, person.session) if one),
    )


def _enter(console: Console) -> None:
    """Wait for the presenter's Enter. Whatever was typed before the question does not answer it."""
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    console.print("  [bold reverse] Enter to go on [/] ", end="")
    try:
        input()
    except EOFError:
        # Ctrl-D: whoever presents has nothing more to say.
        raise KeyboardInterrupt from None
    except KeyboardInterrupt:
        console.print()
        raise


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
