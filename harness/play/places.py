"""Where in its scenario a play failed: the file, the line, the statement that stands there, the values it used."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from harness.folders import Folders

if TYPE_CHECKING:
    from harness.play.runner import Play

CODE = 160
"""Characters of a statement that are shown."""
VALUE = 60
"""Characters of a value that are shown."""
VALUES = 4


@dataclass(frozen=True, kw_only=True)
class Place:
    """A line of a scenario and the statement it is part of."""

    file: str
    """As people find it: from the working directory, else from the checkout."""
    line: int
    statement: ast.stmt | None = field(default=None, repr=False)
    """None if the file can't be read or parsed."""
    code: str = ""
    """The statement in one line; of one with a body only its beginning."""
    frame: FrameType | None = field(default=None, repr=False, compare=False)
    """What was under way there; None if nothing is known of it."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}" if self.code else f"{self.file}:{self.line}"

    def values(self) -> Iterator[tuple[str, str]]:
        """The names that the statement reads and what they stood for, as far as that can be shown in few words."""
        if self.statement is None or self.frame is None:
            return
        told: set[str] = set()
        known = self.frame.f_globals | self.frame.f_locals
        for node in ast.walk(self.statement):
            if isinstance(node, ast.Name) and node.id in known and node.id not in told and len(told) < VALUES:
                value = known[node.id]
                # What has no short form of its own would be a name and an address in memory.
                if isinstance(value, str | int | float | list | tuple | set | dict | bytes | None):
                    told.add(node.id)
                    shown = repr(value)
                    yield node.id, shown if len(shown) <= VALUE else f"{shown[:VALUE]}…"


def failed_line(play: Play) -> tuple[FrameType, int] | None:
    """The innermost line of the failure that stands in the scenario's folder; None where none does.

    It may be in a helper or a thread. A message that is lost at the end fails in no line of the scenario.
    """
    trace = None if play.failure is None else play.failure.__traceback__
    folder, found = play.scenario.path.parent, None
    for frame, line in traceback.walk_tb(trace):
        if Path(frame.f_code.co_filename).parent == folder:
            found = frame, line
    return found


def place_of(play: Play) -> Place:
    """The scenario's own line that failed; where none did, its first line."""
    found = failed_line(play)
    frame, line = found or (None, 0)
    file = play.scenario.path if frame is None else Path(frame.f_code.co_filename)
    source = _source(file)
    tree = _parsed(source)
    if frame is None:
        code = play.scenario.function.__code__
        line = _definition(tree, code.co_name, code.co_firstlineno)
    statement = _innermost(tree, line)
    return Place(file=findable(file), line=line, statement=statement, code=_code(source, statement, line), frame=frame)


def findable(file: Path) -> str:
    """A path from the working directory, else from the checkout, else whole."""
    for folder in (Path.cwd(), Folders.of_checkout().root):
        if file.is_relative_to(folder):
            return file.relative_to(folder).as_posix()
    return str(file)


def _source(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _definition(tree: ast.Module, name: str, first: int) -> int:
    """The line of a function, which with its decorators begins at the line `first`."""
    found = [one.lineno for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == name]
    return min((line for line in found if line >= first), default=first)


def _innermost(tree: ast.Module, line: int) -> ast.stmt | None:
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return min(around, key=lambda node: (node.end_lineno or node.lineno) - node.lineno, default=None)


def _code(source: str, statement: ast.stmt | None, line: int) -> str:
    if statement is None:
        text = "".join(source.splitlines()[line - 1 : line])
    else:
        body: list[ast.stmt] = getattr(statement, "body", [])
        end = body[0].lineno - 1 if body else statement.end_lineno or statement.lineno
        # Over several lines there may be comments, which would end it where there is one line only.
        several = end > statement.lineno
        whole = ast.unparse(statement) if several else ast.get_source_segment(source, statement) or ""
        text = whole.splitlines()[0]
    text = " ".join(text.split())
    return text if len(text) <= CODE else f"{text[:CODE]}…"
