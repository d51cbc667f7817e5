"""Failures where GitHub shows them: annotations at lines of files, and a table on the page of a workflow run.

Both are asked for by the environment of a workflow: GITHUB_ACTIONS and GITHUB_STEP_SUMMARY. Elsewhere nothing happens.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import click

from harness.play.places import findable, place_of
from harness.play.runner import Play
from harness.play.verdict import verdict
from harness.report.cleaning import Cleaner

SUMMARY_BYTES = 900_000
"""A step's summary is refused as a whole beyond one MiB."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$@-])")


class Commands:
    """Between `begin` and `end` GitHub takes nothing for a command that is printed, but for what is told here.

    What a program under test has printed is printed again where a test fails, and may look like a command. Harmless
    outside of a workflow.
    """

    def __init__(self, *, environ: Mapping[str, str] | None = None, write: Callable[[str], None] = click.echo) -> None:
        self._heard = (os.environ if environ is None else environ).get("GITHUB_ACTIONS") == "true"
        self._write = write
        # Whoever knew it could speak in between.
        self._word = secrets.token_hex(16)

    def begin(self) -> None:
        """Let nobody else give commands."""
        self._give(f"::stop-commands::{self._word}")

    def end(self) -> None:
        """Let everybody give commands again."""
        self._give(f"::{self._word}::")

    def tell(self, command: str) -> None:
        """Give a command all the same."""
        self.end()
        self._give(command)
        self.begin()

    def _give(self, command: str) -> None:
        if self._heard:
            # A command begins its line, and pytest's line of dots is not at its end.
            self._write(f"\n{command}")


def annotate(
    plays: Sequence[Play],
    *,
    root: Path,
    run: str = "",
    cleaner: Cleaner | None = None,
    environ: Mapping[str, str] | None = None,
    write: Callable[[str], None] = click.echo,
) -> None:
    """Tell GitHub of plays, within a workflow only: an annotation for each that failed, all in the summary's table.

    `root`: the checkout, as annotations name files from there. `cleaner` knows the secrets of the run, by default
    those in the run folder of each play. `write` prints a line to stdout, which is where GitHub reads commands.
    """
    environ = os.environ if environ is None else environ
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    for play in plays:
        if play.failure is not None:
            write(_annotation(play, root, cleaner))
    summary = environ.get("GITHUB_STEP_SUMMARY")
    if summary and plays:
        _append(Path(summary), summary_of(plays, run=run, cleaner=cleaner))


def error(title: str, message: str, *, file: str, line: int) -> str:
    """The workflow command that annotates a line of a file; `file` is relative to the checkout."""
    properties = {"file": file, "line": str(line), "title": title}
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::error {told}::{_data(message)}"


def annotate_test(
    title: str,
    message: str,
    *,
    file: Path,
    line: int,
    root: Path,
    environ: Mapping[str, str] | None = None,
    write: Callable[[str], None] = click.echo,
) -> None:
    """Tell GitHub, within a workflow only, of a test of another kind that failed at a line of a file."""
    environ = os.environ if environ is None else environ
    if environ.get("GITHUB_ACTIONS") == "true":
        write(error(title, Cleaner().text(message), file=_from(root, file), line=line))


def summary_of(plays: Iterable[Play], *, run: str = "", cleaner: Cleaner | None = None) -> str:
    """Plays as a table of Markdown with their verdicts, those that failed first."""
    plays = list(plays)
    failed = sum(play.failure is not None for play in plays)
    skipped = sum(play.skipped is not None for play in plays)
    counts = [f"{len(plays) - failed - skipped} passed", f"{failed} failed", f"{skipped} skipped"]
    heading = f"## {'❌' if failed else '✅'} Scenarios: {', '.join(counts)}"
    lines = [heading, ""]
    if run:
        lines += [f"Run `{run}`", ""]
    lines += ["| | scenario | seconds | |", "| --- | --- | ---: | --- |"]
    for play in sorted(plays, key=lambda one: (one.failure is None, one.skipped is None)):
        lines.append(_table_row(play, cleaner))
    return "\n".join(lines) + "\n\n"


def _table_row(play: Play, cleaner: Cleaner | None) -> str:
    if play.failure is not None:
        sign, words = "❌", "<br>".join(map(_markdown, verdict(play, cleaner)))
    elif play.skipped is not None:
        sign, words = "⏭️", _markdown(f"skipped: {(cleaner or Cleaner()).text(play.skipped)}")
    else:
        over = sum(step.over_budget for step in play.steps)
        sign, words = "✅", f"{over} over budget" if over else ""
    return f"| {sign} | {_markdown(play.scenario.title)} `{play.name}` | {play.seconds:.1f} | {words} |"


def _annotation(play: Play, root: Path, cleaner: Cleaner | None) -> str:
    place = place_of(play)
    message = "\n".join(verdict(play, cleaner))
    file = play.scenario.path if place.file == findable(play.scenario.path) else Path(place.file)
    return error(f"{play.scenario.title} ({play.name})", message, file=_from(root, file), line=place.line)


def _from(root: Path, file: Path) -> str:
    whole = file if file.is_absolute() else root / file
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else whole.as_posix()


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _markdown(text: str) -> str:
    """A text as a cell of a table: nothing in it is markup, and it has one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _append(summary: Path, text: str) -> None:
    content = text.encode()
    with summary.open("ab") as stream:
        room = SUMMARY_BYTES - stream.tell()
        # A table cut in the middle of a line would be shown as a heap of bars.
        stream.write(content if len(content) <= room else content[: max(0, room)].rpartition(b"\n")[0] + b"\n")
