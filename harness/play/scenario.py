"""Scenarios: written once in plain Python, played as a test, as a demo and as load."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from harness.play.errors import ScenarioNotFound, ScenarioUnusable

if TYPE_CHECKING:
    from harness.play.stage import Stage

FOLDER = "scenarios"

EyesNeed = Literal["optional", "always"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scenario:
    """A story that plays on a stage; call it with one to play it."""

    name: str
    title: str
    tags: frozenset[str]
    cast: tuple[str, ...]
    function: Callable[[Stage], None]
    windows: tuple[str, ...] = ()
    """The roles that sit at a browser when it is played with eyes."""
    eyes: EyesNeed = "optional"
    """Whether it can be played without them."""
    alone: bool = False
    """Whether nothing else may play on the same stack meanwhile, as it breaks something or resets it."""

    @property
    def ways(self) -> tuple[bool, ...]:
        """In which ways it can be played: without eyes, with eyes."""
        if self.eyes == "always":
            return (True,)
        return (False, True) if self.windows else (False,)

    @property
    def module(self) -> str:
        return self.function.__module__

    @property
    def path(self) -> Path:
        return Path(inspect.getfile(self.function))

    @property
    def about(self) -> str:
        """What the story tells, from the docstring of its function."""
        return inspect.getdoc(self.function) or ""

    def __call__(self, stage: Stage) -> None:
        self.function(stage)


def scenario(
    title: str,
    *,
    tags: Iterable[str] = (),
    cast: Sequence[str] = (),
    windows: Sequence[str] = (),
    eyes: EyesNeed = "optional",
    alone: bool = False,
) -> Callable[[Callable[[Stage], None]], Scenario]:
    """Make a scenario of a function that takes a stage.

    `tags`: ``demo`` puts it into ``harness demo``, ``load`` allows it under load.
    `cast`: the roles that are bound before it begins. Needed where stages share too few people: they are lent
    all or none, so that stages take turns instead of waiting for each other.
    `windows`: the roles that get a browser, on each of their devices, when it is played with eyes. As a test it is then
    played twice, without and with them. `eyes`: ``always`` for a story that makes no sense without a browser.
    `alone`: nothing else may play on the same stack meanwhile; a story that breaks or resets something needs it.
    """
    if eyes == "always" and not windows:
        raise ScenarioUnusable(f"The scenario {title!r} needs eyes and names no role for them: add windows=.")

    def decorate(function: Callable[[Stage], None]) -> Scenario:
        return Scenario(
            name=function.__name__,
            title=title,
            tags=frozenset(tags),
            cast=tuple(cast),
            function=function,
            windows=tuple(windows),
            eyes=eyes,
            alone=alone,
        )

    return decorate


def scenarios_in(module: ModuleType) -> list[Scenario]:
    """The scenarios that a module defines, in their order; imported ones belong to their own module."""
    return [value for value in vars(module).values() if isinstance(value, Scenario) and value.module == module.__name__]


def discover(folder: Path | None = None) -> list[Scenario]:
    """All scenarios of the files in `folder`, by default ``scenarios`` in the working directory or above it.

    Raises `ScenarioNotFound` without such a folder, `ScenarioUnusable` for a file that can't be imported or a
    name that is taken.
    """
    folder = folder or _folder_above(Path.cwd())
    found: dict[str, Scenario] = {}
    for path in sorted(folder.glob("*.py")):
        if path.name in ("__init__.py", "conftest.py"):
            continue
        for one in scenarios_in(_import(path)):
            if one.name in found:
                raise ScenarioUnusable(
                    f"Two scenarios are named {one.name}, in {found[one.name].path.name} and {path.name}.",
                    hint="Rename one of them.",
                )
            found[one.name] = one
    return list(found.values())


def pick(scenarios: Sequence[Scenario], names: Sequence[str]) -> list[Scenario]:
    """The scenarios named by `names`: the function's name or the file's without ``.py``; all without names.

    Raises `ScenarioNotFound` that says which there are.
    """
    if not names:
        return list(scenarios)
    picked: list[Scenario] = []
    for name in names:
        matching = [one for one in scenarios if name in (one.name, one.path.stem)]
        if not matching:
            known = ", ".join(one.name for one in scenarios) or "none"
            raise ScenarioNotFound(f"There is no scenario {name!r}.", hint=f"There are: {known}.")
        picked.extend(one for one in matching if one not in picked)
    return picked


def _folder_above(start: Path) -> Path:
    for parent in (start, *start.parents):
        if (parent / FOLDER).is_dir():
            return parent / FOLDER
    raise ScenarioNotFound(
        f"There is no folder {FOLDER!r} in {start} or above it.", hint="Go to the root of the repository."
    )


def _import(path: Path) -> ModuleType:
    name = f"{path.parent.name}.{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScenarioUnusable(f"{path} can't be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ScenarioUnusable(f"{path} can't be imported: {type(error).__name__}: {error}") from error
    return module
