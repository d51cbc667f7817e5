from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.play.errors import ScenarioNotFound, ScenarioUnusable
from harness.play.people import Pool
from harness.play.runner import perform
from harness.play.scenario import Scenario, discover, pick, scenario
from harness.play.stage import Stage, Target

STORY = """
from __future__ import annotations
from harness import Stage, scenario

@scenario("{title}", tags={{"demo"}}, cast=["bob"])
def {name}(stage: Stage) -> None:
    \"\"\"What it is about.\"\"\"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    stories = tmp_path / "stories"
    stories.mkdir()
    before = set(sys.modules)
    yield stories
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, file: str, name: str, title: str = "A story") -> None:
    (folder / file).write_text(STORY.format(name=name, title=title), encoding="utf-8")


def test_scenarios_are_found_in_files(folder: Path) -> None:
    write(folder, "b.py", "second", "The second story")
    write(folder, "a.py", "first")
    (folder / "__init__.py").write_text("raise RuntimeError", encoding="utf-8")
    first, second = discover(folder)
    assert (first.name, second.name) == ("first", "second")
    assert (second.title, second.tags, second.cast) == ("The second story", frozenset({"demo"}), ("bob",))
    assert second.about == "What it is about."
    assert second.path == folder / "b.py"


def test_an_imported_scenario_is_not_found_twice(folder: Path) -> None:
    write(folder, "a.py", "first")
    (folder / "b.py").write_text(
        "from __future__ import annotations\nimport sys\nfirst = sys.modules['stories.a'].first\n",
        encoding="utf-8",
    )
    assert [one.name for one in discover(folder)] == ["first"]


def test_one_name_for_two_scenarios_is_refused(folder: Path) -> None:
    write(folder, "a.py", "first")
    write(folder, "b.py", "first")
    with pytest.raises(ScenarioUnusable, match=r"named first, in a\.py and b\.py"):
        discover(folder)


def test_a_broken_file_is_named(folder: Path) -> None:
    (folder / "broken.py").write_text("1 / 0", encoding="utf-8")
    with pytest.raises(ScenarioUnusable, match=r"broken\.py can't be imported: ZeroDivisionError"):
        discover(folder)


def test_without_a_folder_one_is_told_where_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioNotFound) as caught:
        discover()
    assert "root of the repository" in caught.value.hint


def test_scenarios_are_picked_by_name_or_file(folder: Path) -> None:
    write(folder, "a.py", "first")
    write(folder, "b.py", "second")
    stories = discover(folder)
    assert [one.name for one in pick(stories, [])] == ["first", "second"]
    assert [one.name for one in pick(stories, ["b", "first", "second"])] == ["second", "first"]
    with pytest.raises(ScenarioNotFound, match="no scenario 'third'") as caught:
        pick(stories, ["third"])
    assert "first, second" in caught.value.hint


def test_the_scenarios_of_this_repository_tell_their_story() -> None:
    stories = discover()
    assert len(stories) >= 3
    assert all(one.about and one.title and one.tags for one in stories)
    assert [one.name for one in stories if "load" in one.tags] == ["two_people_chat"]


def test_who_breaks_or_resets_the_stack_plays_alone() -> None:
    told = {one.name: one.alone for one in discover()}
    text = {one.name: one.path.read_text(encoding="utf-8") for one in discover()}
    assert told == {name: "stage.broken(" in text[name] or "stage.reset(" in text[name] for name in told}


def made(**options: object) -> Scenario:
    def story(stage: Stage) -> None:
        """Nothing happens."""

    return scenario("A story", **options)(story)  # type: ignore[arg-type]  # any of its options


def test_a_scenario_is_played_in_the_ways_that_make_sense() -> None:
    assert made().ways == (False,)
    assert made(windows=["bob"]).ways == (False, True)
    assert made(windows=["bob"], eyes="always").ways == (True,)


def test_eyes_without_a_role_for_them_are_refused() -> None:
    with pytest.raises(ScenarioUnusable, match="'A story' needs eyes and names no role"):
        made(eyes="always")


def test_who_needs_eyes_is_not_played_without() -> None:
    play = perform(made(windows=["bob"], eyes="always"), Target(backends=("http://127.0.0.1:1",)), Pool([]))
    assert isinstance(play.failure, ScenarioUnusable)
    assert play.failure.hint == "Add --eyes."


def test_who_has_no_role_with_a_window_is_played_as_ever_with_eyes() -> None:
    play = perform(made(), Target(backends=("http://127.0.0.1:1",)), Pool([]), eyes=True)
    assert play.error is None
    assert (play.eyes, play.name) == (False, "story")
