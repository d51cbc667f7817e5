"""Plays that break or reset their stack: when they may, what is kept of it, what can be repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.actors.errors import NeedsControl
from harness.errors import HarnessError
from harness.folders import Folders, private_folder
from harness.play.errors import ScenarioUnusable
from harness.play.happenings import Faults
from harness.play.people import Pool
from harness.play.runner import Play, perform
from harness.play.scenario import scenario
from harness.play.stage import Stage, Target
from harness.stack import RunningStack
from harness.tests.helpers import fake, start_fakes

NOWHERE = ("http://127.0.0.1:1",)
WITHIN = 10.0


def play(function: Callable[[Stage], None], stack: RunningStack | None = None, **options: Any) -> Play:
    alone = options.pop("alone", False)
    made = scenario("A story", tags={"test"}, alone=alone)(function)
    return perform(made, Target(backends=NOWHERE, stack=stack), Pool([]), **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    private_folder(tmp_path / "logs")
    return tmp_path


@pytest.fixture
def nothing(folder: Path) -> RunningStack:
    """A stack of nothing but a folder."""
    return cast("RunningStack", SimpleNamespace(folder=folder, owned=False, reset=None))


@pytest.fixture
def web(folders: Folders) -> Iterator[RunningStack]:
    with start_fakes(folders, fake("web")) as stack:
        yield stack


# When they may


def breaks_web(stage: Stage) -> None:
    with stage.broken("web", "frozen"):
        pass


def test_what_breaks_something_has_to_say_so(web: RunningStack) -> None:
    told = play(breaks_web, web)
    assert isinstance(told.failure, ScenarioUnusable)
    assert "alone=True" in told.failure.hint
    assert play(breaks_web, web, alone=True).error is None


def test_what_resets_something_has_to_say_so(nothing: RunningStack) -> None:
    told = play(lambda stage: stage.reset("busy"), nothing)
    assert isinstance(told.failure, ScenarioUnusable)


def test_a_stack_that_was_up_before_keeps_its_data(nothing: RunningStack) -> None:
    told = play(lambda stage: stage.reset("busy"), nothing, alone=True)
    assert (told.failure, told.passed) == (None, False)
    assert "keeps its data" in (told.skipped or "")


@pytest.mark.parametrize("alone", [True, False])
def test_what_needs_control_is_skipped_on_a_stack_elsewhere(alone: bool) -> None:
    played: list[str] = []

    def wants_a_crowd(stage: Stage) -> None:
        played.append("began")
        stage.crowd(3)

    told = play(wants_a_crowd, alone=alone)
    assert (told.failure, told.passed) == (None, False)
    assert "runs elsewhere" in (told.skipped or "")
    # One that says beforehand that it breaks things does not begin.
    assert played == ([] if alone else ["began"])


def test_needing_control_is_no_failure_of_an_actor() -> None:
    with Stage(Target(backends=NOWHERE), Pool([])) as stage, pytest.raises(NeedsControl):
        stage.crowd(1)


def test_one_that_plays_alone_waits_for_the_others_and_they_for_it(nothing: RunningStack) -> None:
    entered, leave, order = threading.Event(), threading.Event(), list[str]()

    def stays(_stage: Stage) -> None:
        order.append("others begin")
        entered.set()
        assert leave.wait(WITHIN)
        order.append("others end")

    def breaks(_stage: Stage) -> None:
        order.append("alone")

    others = threading.Thread(target=play, args=(stays, nothing))
    others.start()
    assert entered.wait(WITHIN)
    alone = threading.Thread(target=play, args=(breaks, nothing), kwargs={"alone": True})
    alone.start()
    # Another that shares is not kept waiting.
    assert play(lambda _stage: order.append("shared"), nothing).passed
    leave.set()
    for thread in (others, alone):
        thread.join(WITHIN)
    assert order == ["others begin", "shared", "others end", "alone"]


# What is kept


def test_a_fault_leaves_its_span(web: RunningStack) -> None:
    (span,) = play(breaks_web, web, alone=True).faults
    assert span.what == "web: frozen"
    assert span.ended is not None
    assert 0 <= span.began <= span.ended


def test_a_fault_is_over_and_noted_after_an_error_too(web: RunningStack) -> None:
    def fails(stage: Stage) -> None:
        with stage.broken("web", "frozen"):
            raise ZeroDivisionError

    told = play(fails, web, alone=True)
    assert isinstance(told.failure, ZeroDivisionError)
    assert told.faults[0].ended is not None
    assert play(breaks_web, web, alone=True).passed


def test_who_counts_may_be_broken_too_and_hides_nothing() -> None:
    def no_answer() -> dict[str, float]:
        raise HarnessError("nobody counts any more")

    faults = Faults(lambda: 1.0)
    with pytest.raises(ZeroDivisionError), faults.span("web: frozen", no_answer):
        raise ZeroDivisionError
    (span,) = faults.spans
    assert (span.ended, span.figures) == (1.0, {})


def test_the_logs_of_the_step_that_failed_are_kept(nothing: RunningStack, folder: Path) -> None:
    def writes(text: str) -> None:
        with (folder / "logs" / "backend.log").open("a", encoding="utf-8") as log:
            log.write(text)

    def story(stage: Stage) -> None:
        with stage.step("Well"):
            writes("long ago\n")
        with stage.step("Badly"):
            writes("it begins\nERROR no end")
            raise AssertionError("no")

    writes("before\n")
    told = play(story, nothing)
    (kept,) = told.logs
    assert (kept.resource, kept.lines, kept.left_out) == ("backend", ("it begins", "ERROR no end"), 0)
    assert told.place is not None
    file, _, line = told.place.partition(":")
    assert file.endswith("harness/tests/test_play_alone.py")
    assert "raise AssertionError" in Path(__file__).read_text(encoding="utf-8").splitlines()[int(line) - 1]


def test_of_a_long_log_the_newest_lines_are_kept(nothing: RunningStack, folder: Path) -> None:
    def story(stage: Stage) -> None:
        with stage.step("Badly"):
            (folder / "logs" / "relay.log").write_text("".join(f"{n}\n" for n in range(1000)), encoding="utf-8")
            raise AssertionError("no")

    (kept,) = play(story, nothing).logs
    assert (kept.lines[-1], kept.left_out + len(kept.lines)) == ("999", 1000)
    assert kept.left_out > 0


def test_what_passes_keeps_no_logs(nothing: RunningStack, folder: Path) -> None:
    assert play(lambda _stage: None, nothing).logs == ()
    assert play(lambda _stage: None, nothing).place is None


# What can be repeated


def chances(seed: int | None = None) -> tuple[int, list[int]]:
    drawn: list[int] = []
    told = play(lambda stage: drawn.extend(stage.random.sample(range(1000), 5)), seed=seed)
    return told.seed, drawn


def test_the_same_seed_gives_the_same_chances(monkeypatch: pytest.MonkeyPatch) -> None:
    seed, drawn = chances()
    assert chances(seed) == (seed, drawn)
    assert chances(seed + 1)[1] != drawn
    monkeypatch.setenv("HARNESS_SEED", str(seed))
    assert chances() == (seed, drawn)


def test_a_seed_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_SEED", "lucky")
    with pytest.raises(ScenarioUnusable, match="HARNESS_SEED must be a whole number, not 'lucky'"):
        chances()
