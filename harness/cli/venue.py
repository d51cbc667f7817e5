"""Where scenarios are played: the stack that is up, a throwaway one, or a deployment elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.output import StartProgress
from harness.errors import NotRunning, TargetGuarded
from harness.folders import Folders, private_folder
from harness.services.choose import Choice

if TYPE_CHECKING:
    from rich.console import Console

    from harness.play.elsewhere import Elsewhere
    from harness.play.people import Person, Pool
    from harness.play.stage import Target
    from harness.stack import RunningStack

_READ_OR_WRITE = "--safe plays what only reads; --yes plays everything, and what is written there stays."


@dataclass(frozen=True, kw_only=True)
class Venue:
    """`stack` is None for one that somebody else runs."""

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


@contextmanager
def here(services: Choice, console: Console) -> Generator[Venue]:
    """The stack that is up in this checkout, else a throwaway one with two backends."""
    from harness.play.people import people_of
    from harness.play.stage import Target
    from harness.stack import StackOptions, attach, start_stack

    try:
        stack, borrowed = attach(), True
        console.print(f"[dim]playing on the stack that is up, run {stack.run_id}[/]")
    except NotRunning:
        with StartProgress(console) as progress:
            options = StackOptions(services=services, scale={"backend": 2}, proxies=True)
            stack, borrowed = start_stack(options, on_progress=progress), False
    # Closing lets go of a stack that somebody else started, and ends our own.
    with stack:
        yield Venue(
            target=Target.of(stack),
            pool=people_of(stack),
            folder=stack.folder,
            run=stack.run_id,
            stack=stack,
            borrowed=borrowed,
        )


@dataclass(frozen=True, kw_only=True)
class Guests:
    """Who plays at a deployment that was not started here, and what they may do there."""

    elsewhere: Elsewhere
    people: Sequence[Person] = field(repr=False)
    file: Path
    only_read: bool
    again: tuple[str, ...]


def invited(url: str, users: Path, *, safe: bool, yes: bool, console: Console) -> Guests:
    """Ask the deployment what it is for, and where it does not say for tests, the person at the terminal.

    Raises `PeopleFileError`, `TargetUnusable`, and `TargetGuarded` where nobody says that it may be written to.
    """
    from harness.play.elsewhere import look_at
    from harness.play.people import read_people

    people = read_people(users)
    found = look_at(url)
    only_read = safe and not found.is_for_tests
    if only_read:
        console.print(f"[yellow]{found.base} {found.told}: nothing is written there, only people sign in and out.[/]")
    elif not found.is_for_tests and not yes:
        _ask(found)
    return Guests(
        elsewhere=found,
        people=people,
        file=users,
        only_read=only_read,
        again=("--target", found.base, "--users", str(users), *(["--safe"] if safe else [])),
    )


@contextmanager
def elsewhere(guests: Guests) -> Generator[Venue]:
    """A deployment that was not started here; only its address and people are known."""
    from harness import safety
    from harness.play.people import Pool
    from harness.play.stage import Target
    from harness.stack.start import new_run_id

    run = new_run_id()
    runs = private_folder(Folders.of_checkout().runs)
    with ExitStack() as opened:
        if guests.only_read:
            opened.enter_context(safety.protected(guests.elsewhere.base))
        yield Venue(
            target=Target(backends=(guests.elsewhere.base,)),
            pool=Pool(guests.people),
            folder=private_folder(runs / run),
            run=run,
            stack=None,
            borrowed=True,
            again=guests.again,
            secrets=tuple(one for person in guests.people for one in (person.password, person.session) if one),
        )


def _ask(found: Elsewhere) -> None:
    told = f"{found.base} {found.told}, and scenarios write: messages, chats, names."
    if not sys.stdin.isatty():
        raise TargetGuarded(told, hint=_READ_OR_WRITE)
    click.secho(told, fg="yellow", err=True)
    if not click.confirm("Play there all the same?", err=True):
        raise TargetGuarded("Nothing was played.", hint=_READ_OR_WRITE)
