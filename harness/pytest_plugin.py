"""The harness inside pytest.

* Before Django's settings load, throwaway Postgres and Redis servers are started and named in the
  environment, unless ``DATABASE_URL`` and ``REDIS_URL`` name others. Where all paths asked for lie outside
  the package of the settings that pytest is configured with, neither is needed and neither happens.
  With ``-n`` of pytest-xdist every worker has its own, and a stack of its own.
* Fixtures: ``stack`` (a whole throwaway stack, two of each process, started when first used), ``stage`` and
  ``actor`` (a stage on it), ``faults`` and ``named_state`` (break it, reset it), ``live_store`` (a client's store,
  for tests that don't import the harness).
* Scenarios in the files of a ``scenarios/`` folder are collected as tests and played on that stack; what came
  of them is written to ``report.html``, ``report.json`` and ``junit.xml`` in the run folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import ExceptionRepr, TerminalRepr
from _pytest._io import TerminalWriter

from harness.pytest_services import (
    SETTINGS_MODULE,
    Services,
    leaves_it_to_workers,
    only_strangers,
    settings_of,
    without_settings,
)

if TYPE_CHECKING:
    from harness.actors.actor import Actor
    from harness.browser.driver import Browsers
    from harness.faults.catalogue import Breach
    from harness.live import LiveStore
    from harness.play.people import Pool
    from harness.play.runner import Play
    from harness.play.scenario import Scenario
    from harness.play.stage import Stage
    from harness.report.github import Commands
    from harness.stack import RunningStack

_services_key = pytest.StashKey[Services]()
_failed_key = pytest.StashKey[bool]()
_played_key = pytest.StashKey["_Played"]()
_commands_key = pytest.StashKey["Commands"]()


# A wrapper runs before every plain hook, hence before pytest-django loads the settings.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None]:
    """Start the services that Django's settings need."""
    known = parser.parse_known_args(args)
    settings = settings_of(early_config, known)
    if known.version or known.help or not settings:
        return (yield)
    chosen = bool(known.ds) or SETTINGS_MODULE in os.environ
    if not chosen and only_strangers(known.file_or_dir, early_config, settings):
        with without_settings():
            return (yield)
    services = Services(os.environ)
    early_config.stash[_services_key] = services
    try:
        services.start()
        loaded = yield
        if leaves_it_to_workers(known):
            # They must not inherit what only the loading of settings and conftest files needed here.
            services.close()
        return loaded
    except BaseException:
        services.close()
        raise


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers and begin the list of plays."""
    config.addinivalue_line("markers", "stack: needs a whole running stack")
    config.addinivalue_line("markers", "browser: needs a browser")
    config.stash[_played_key] = _Played()
    # What came of the tests of pytest-xdist's workers is told once, by the process that started them.
    if os.environ.get("GITHUB_ACTIONS") == "true" and not hasattr(config, "workerinput"):
        from harness.report.github import Commands

        config.stash[_commands_key] = commands = Commands()
        config.pluginmanager.register(_Annotator(config.rootpath, commands), "harness-annotator")
        commands.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the services that were started for these tests."""
    commands = config.stash.get(_commands_key, None)
    if commands is not None:
        commands.end()
    services = config.stash.get(_services_key, None)
    if services is not None:
        services.close()


# Scenarios as tests


@dataclass
class _Played:
    """The plays of this session and where their report goes."""

    plays: list[Play] = field(default_factory=list)
    folder: Path | None = None
    run: str = ""
    app: str = ""


class _Told(ExceptionRepr):
    """A failure as pytest shows it, below the lines that say in words what happened."""

    def __init__(self, words: Sequence[str], shown: ExceptionRepr) -> None:
        super().__init__(reprtraceback=shown.reprtraceback, reprcrash=shown.reprcrash)
        self._words = words
        self._shown = shown

    def toterminal(self, tw: TerminalWriter) -> None:
        """The words first: most people need no traceback then."""
        for words in self._words:
            tw.line(words, red=True, bold=True)
        tw.line("")
        self._shown.toterminal(tw)


class ScenarioItem(pytest.Function):
    """A scenario as a test."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """What failed in three lines, then as pytest shows it, and where the evidence lies."""
        shown = super().repr_failure(excinfo)
        played = self.config.stash[_played_key]
        failed = [play for play in played.plays if play.failure is excinfo.value]
        if not failed or played.folder is None or not isinstance(shown, ExceptionRepr):
            return shown
        from harness.play.verdict import verdict
        from harness.report import REPORT_HTML

        lines = (
            f"screens and live frames of every actor: {failed[-1].evidence}",
            f"the whole story, once all have played: {played.folder / REPORT_HTML}",
        )
        shown.addsection("evidence", "\n".join(lines), "-")
        return _Told(verdict(failed[-1]), shown)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Collect the files of a scenarios folder; pytest itself does so with those named on the command line."""
    if not _holds_scenarios(file_path):
        return None
    if file_path.name in ("__init__.py", "conftest.py") or parent.session.isinitpath(file_path):
        return None
    return pytest.Module.from_parent(parent, path=file_path)


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[ScenarioItem] | None:
    """A scenario is a test of the module that defines it, one for each way in which it can be played."""
    if not _holds_scenarios(collector.path):
        return None
    from harness.play.scenario import Scenario

    if not isinstance(obj, Scenario) or obj.module != collector.obj.__name__:
        return None

    return [_item(collector, name, obj, eyes=eyes) for eyes in obj.ways]


def _item(collector: pytest.Module | pytest.Class, name: str, scenario: Scenario, *, eyes: bool) -> ScenarioItem:
    from harness.play.runner import way_name

    def without_eyes(stack: RunningStack, _pool: Pool, request: pytest.FixtureRequest) -> None:
        __tracebackhide__ = True
        _play(scenario, stack, _pool, request.config.stash[_played_key], None)

    def with_eyes(stack: RunningStack, _pool: Pool, _browsers: Browsers, request: pytest.FixtureRequest) -> None:
        __tracebackhide__ = True
        _play(scenario, stack, _pool, request.config.stash[_played_key], _browsers)

    called = way_name(scenario, eyes=eyes).replace(scenario.name, name, 1)
    item: ScenarioItem = ScenarioItem.from_parent(collector, name=called, callobj=with_eyes if eyes else without_eyes)
    return item


def _holds_scenarios(file: Path) -> bool:
    return file.suffix == ".py" and file.parent.name == "scenarios"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs the stack, before ``-m`` chooses."""
    if "stack" in getattr(item, "fixturenames", ()):
        item.add_marker("stack")
    if "_browsers" in getattr(item, "fixturenames", ()):
        item.add_marker("browser")


class _Annotator:
    """Tells GitHub of tests that failed; scenarios among them tell more, at the end."""

    def __init__(self, root: Path, commands: Commands) -> None:
        self._root = root
        self._commands = commands

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest."""
        crash = getattr(report.longrepr, "reprcrash", None)
        if report.failed and crash is not None and not isinstance(report.longrepr, _Told):
            from harness.report.github import annotate_test

            place = Path(crash.path)
            told = self._commands.tell
            annotate_test(report.nodeid, crash.message, file=place, line=crash.lineno, root=self._root, write=told)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note failures, for fixtures that ask."""
    report = yield
    if report.failed:
        item.stash[_failed_key] = True
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report of the plays."""
    played = session.config.stash[_played_key]
    if played.plays and played.folder is not None:
        from harness.report import again_with_pytest, write_report
        from harness.report.github import annotate

        repeat = partial(again_with_pytest, start=session.config.invocation_params.dir)
        write_report(played.folder, played.plays, run=played.run, app=played.app, repeat=repeat)
        commands = session.config.stash.get(_commands_key, None)
        if commands is not None:
            annotate(played.plays, root=session.config.rootpath, run=played.run, write=commands.tell)


def _play(scenario: Scenario, stack: RunningStack, pool: Pool, played: _Played, browsers: Browsers | None) -> None:
    __tracebackhide__ = True
    from harness.play.runner import perform
    from harness.play.stage import Target

    play = perform(scenario, Target.of(stack), pool, folder=stack.folder, eyes=browsers is not None, browsers=browsers)
    played.plays.append(play)
    played.folder, played.run, played.app = stack.folder, stack.run_id, stack.urls.app
    if play.skipped is not None:
        pytest.skip(play.skipped)
    if play.failure is not None:
        raise play.failure


# Fixtures


@pytest.fixture(scope="session")
def stack() -> Generator[RunningStack]:
    """A whole throwaway stack with two of each process, shared by all tests of the session.

    Its servers are always its own, whatever the environment names: tests kill them and break their network.
    """
    from harness.stack import StackOptions, start_stack

    scale = {"backend": 2, "relay": 2, "worker": 2, "renderer": 2}
    options = StackOptions(services="embedded", scale=scale, proxies=True)
    with start_stack(options) as running:
        yield running


@pytest.fixture(scope="session")
def _pool(stack: RunningStack) -> Pool:
    from harness.play.people import people_of

    return people_of(stack)


@pytest.fixture(scope="session")
def _browsers() -> Generator[Browsers]:
    from harness.browser.driver import Browsers

    with Browsers.found() as browsers:
        yield browsers


@pytest.fixture
def stage(stack: RunningStack, _pool: Pool, request: pytest.FixtureRequest) -> Generator[Stage]:
    """A stage on the session's stack; at the end every message that was sent must have arrived."""
    from harness.play.stage import Stage, Target

    with Stage(Target.of(stack), _pool) as opened:
        yield opened
        # What a failed test left under way would only hide why it failed.
        if not request.node.stash.get(_failed_key, False):
            opened.settle()


@pytest.fixture
def actor(stage: Stage) -> Callable[..., Actor]:
    """Makes actors on the test's stage: ``actor("bob")``, ``actor("bob", device="phone")``."""
    return stage.actor


@pytest.fixture
def faults(stack: RunningStack) -> Callable[..., AbstractContextManager[Breach]]:
    """Breaks the session's stack: ``with faults("redis", "latency", seconds=0.5): ...``."""
    from harness.faults.catalogue import fault

    return partial(fault, stack)


@pytest.fixture
def named_state(stack: RunningStack) -> Generator[Callable[[str], None]]:
    """Brings the session's database to a named state: ``named_state("busy")``. Afterwards it is ``seeded`` again."""
    yield stack.reset
    stack.reset()


@pytest.fixture
def live_store() -> Callable[[], LiveStore]:
    """Makes the stores that simulated clients keep, empty."""
    from harness.live import LiveStore

    return LiveStore
