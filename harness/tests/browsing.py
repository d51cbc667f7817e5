"""Bob at a real browser on the tests' small app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.browser.driver import Browsers
from harness.play.eyes import Eyes
from harness.play.people import Person, Pool
from harness.play.runner import Play, perform
from harness.play.scenario import scenario
from harness.play.stage import Stage, Target
from harness.tests.observing import Seen
from harness.tests.small_app import SESSION, SmallApp


def with_session() -> Pool:
    """Bob, signed in already."""
    return Pool([Person(name="bob", session=SESSION)])


def stage_of(app: SmallApp, browsers: Browsers, pool: Pool | None = None, *, folder: Path | None = None) -> Stage:
    """A stage on which Bob sits at a browser."""
    eyes = Eyes(browsers=browsers, roles=["bob"], folder=folder)
    return Stage(Target(backends=(app.base,)), pool or with_session(), observers=[Seen()], eyes=eyes)


def play(
    app: SmallApp, browsers: Browsers, story: Callable[[Stage], None], folder: Path | None = None, *, keep: bool = False
) -> Play:
    """A play of `story`, with Bob at a browser."""
    made = scenario("A story", cast=["bob"], windows=["bob"])(story)
    target = Target(backends=(app.base,))
    return perform(made, target, with_session(), folder=folder, eyes=True, browsers=browsers, keep=keep)
