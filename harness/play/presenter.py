"""Shows plays to an audience in the terminal: cues, steps, timing against budget, deliveries."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from rich import box
from rich.console import Console, Group
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.status import Status
from rich.table import Table
from rich.text import Text

from harness.play.moments import Moment
from harness.play.observers import Step
from harness.play.runner import Play
from harness.play.scenario import Scenario

TITLE_WIDTH = 58
CUE_WIDTH = 76


class SignIn(Protocol):
    """A user whose sign-in the audience may try."""

    @property
    def name(self) -> str: ...

    @property
    def password(self) -> str: ...

    @property
    def role(self) -> str: ...


class Presenter:
    """An observer that presents; also usable without a terminal, then it prints plain lines."""

    def __init__(self, console: Console, *, pace: float = 0.0, wait: Callable[[], None] | None = None) -> None:
        """`pace`: seconds to leave each cue alone on the screen before its step begins.

        `wait`: asks for the next step and returns when it is wanted; takes the place of the pace.
        """
        self._console = console
        self._pace = pace
        self._wait = wait
        self._status: Status | None = None

    def opens(self, scenario: Scenario, *, number: int, of: int) -> None:
        """A scenario begins."""
        self._console.print()
        heading = Text.assemble((f"{number}/{of}  ", "dim"), (scenario.title, "bold cyan"))
        self._console.print(Rule(heading, align="left", style="cyan"))
        if scenario.about:
            self._console.print(Text(scenario.about, style="dim"))

    def closes(self, play: Play) -> None:
        """A scenario ended."""
        self._quiet()
        for timing in play.deliveries:
            self._console.print(
                f"  [dim]{timing.count - timing.failed} × {escape(timing.name)} delivered live:"
                f" median {timing.p50:.0f} ms, slowest {timing.max:.0f} ms[/]"
            )
        pictures = sum(moment.kind == "screenshot" for moment in play.moments)
        if pictures:
            self._console.print(f"  [dim]{pictures} pictures of the windows: {escape(str(play.evidence))}[/]")
        if play.skipped is not None:
            self._console.print(Text.assemble(("  skipped: ", "yellow"), play.skipped), soft_wrap=True)
        if play.failure is not None:
            if self._console.is_terminal:
                panel = Panel(_told(play), title="failed", border_style="red", title_align="left")
                self._console.print(panel, soft_wrap=False)
            else:
                # A frame would cut what is for a search to find whole.
                self._console.print("  failed")
                self._console.print(_told(play), soft_wrap=True)
            if play.evidence is not None:
                self._console.print(f"  evidence: {escape(str(play.evidence))}", soft_wrap=True)

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        """Requests are no sight for an audience."""

    def delivery(self, name: str, ms: float, error: str | None) -> None:
        """Deliveries are summed up when the scenario closes."""

    def step(self, step: Step) -> None:
        if step.running:
            self._quiet()
            if step.cue:
                self._cue(step.cue)
            if self._wait is not None:
                self._console.print(f"  [dim]next:[/] {escape(step.title)}")
                self._wait()
            elif step.cue:
                time.sleep(self._pace)
            if self._console.is_terminal:
                self._status = self._console.status(f"  {escape(step.title)}", spinner="dots")
                self._status.start()
        else:
            self._quiet()
            self._console.print(_verdict(step))

    def moment(self, moment: Moment) -> None:
        """Moments are for the report."""

    def ends(self, plays: Sequence[Play]) -> None:
        """All scenarios were played: the summary."""
        self._quiet()
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("")
        table.add_column("scenario")
        table.add_column("seconds", justify="right")
        table.add_column("steps", justify="right")
        table.add_column("over budget", justify="right")
        for play in plays:
            over = sum(step.over_budget for step in play.steps)
            table.add_row(
                _outcome(play),
                Text(play.scenario.title),
                f"{play.seconds:.1f}",
                str(len(play.steps)),
                Text(str(over), style="red" if over else "dim"),
            )
        self._console.print()
        self._console.print(Rule(style="cyan"))
        self._console.print(table)
        for play in plays:
            if play.skipped is not None:
                line = Text.assemble(("skipped ", "yellow"), (play.name, "bold"), f": {play.skipped}")
                self._console.print(line, soft_wrap=True)

    def invites(self, *, app: str, admin: str, api: str, users: Sequence[SignIn], run: str) -> None:
        """Where the audience can look for itself, and with which sign-ins."""
        places = Table.grid(padding=(0, 2))
        for name, url in (("app", app), ("admin", admin), ("API", api)):
            places.add_row(Text(name, style="dim"), Text(url, style="underline cyan"))
        people = Table.grid(padding=(0, 2))
        for user in sorted(users, key=lambda user: user.role != "admin"):
            people.add_row(Text(user.role, style="dim"), Text(user.name, style="bold"), Text(user.password))
        both = Table.grid(padding=(0, 6))
        both.add_row(places, people)
        commands = Table.grid(padding=(0, 2))
        for purpose, command in (("its state", "status"), ("its logs", "logs -f")):
            commands.add_row(Text(purpose, style="dim"), Text(f"harness {command} --run {run}"))
        self._console.print(
            Panel(Group(both, Text(), commands), title="look for yourself", border_style="green", title_align="left")
        )

    def _cue(self, cue: str) -> None:
        """What the presenter says, to be read from the back of the room where there is a screen for it."""
        self._console.print()
        if not self._console.is_terminal:
            self._console.print(f"  “{escape(cue)}”")
            return
        words = Text(f"“{cue}”", style="bold", justify="left")
        width = min(self._console.width - 2, CUE_WIDTH)
        panel = Panel(words, box=box.HEAVY, border_style="cyan", padding=(1, 3), width=width)
        self._console.print(Padding(panel, (0, 0, 0, 2)), soft_wrap=False)

    def _quiet(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def _told(play: Play) -> Text:
    """What failed: three lines that say it all to most people, then everything that the failure says itself."""
    from harness.play.verdict import verdict

    what, where, why = verdict(play)
    return Text.assemble(
        (what, "bold red"), "\n", (where, "cyan"), "\n", (why, "bold"), "\n\n", (play.error or "", "dim")
    )


def _outcome(play: Play) -> Text:
    if play.skipped is not None:
        return Text("-", style="yellow")
    return Text("✔", style="green") if play.passed else Text("✘", style="bold red")


def _verdict(step: Step) -> Text:
    failed, over = step.error is not None, step.over_budget
    sign, style = ("✘", "bold red") if failed else ("!", "red") if over else ("✔", "green")
    budget = "" if step.budget is None else f" of {step.budget:g} s"
    line = Text.assemble((f"  {sign} ", style), step.title.ljust(TITLE_WIDTH))
    line.append(f" {step.seconds or 0:5.1f} s", "red" if over else "")
    line.append(budget, "red" if over else "dim")
    return line
