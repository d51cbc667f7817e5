"""Who of a play sits at a browser, as the options of a command say."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from harness.browser.driver import Browsers
    from harness.play.scenario import Scenario

EYES = click.option(
    "--eyes/--no-eyes",
    "eyes",
    default=None,
    help="Seat the roles that a scenario names at real browsers, or nobody.",
)
KEEP = click.option("--keep", is_flag=True, help="Keep all evidence of windows, also where a scenario passed.")


@dataclass(frozen=True, kw_only=True)
class Seats:
    """The scenarios that are played with eyes, the browsers for them, and whether to keep all evidence."""

    seeing: frozenset[Scenario]
    browsers: Browsers | None
    keep: bool


@contextmanager
def seats(seeing: Sequence[Scenario], console: Console, *, keep: bool, visible: bool = False) -> Generator[Seats]:
    """Have browsers, found or installed before anything else is started, if one of `seeing` names roles for them.

    Raises `NoBrowser`.
    """
    sighted = frozenset(one for one in seeing if one.windows)
    if not sighted:
        yield Seats(seeing=sighted, browsers=None, keep=keep)
        return
    from harness.browser.driver import Browsers

    with Browsers.found(say=lambda sentence: console.print(f"[dim]{sentence}[/]"), visible=visible) as browsers:
        yield Seats(seeing=sighted, browsers=browsers, keep=keep)
