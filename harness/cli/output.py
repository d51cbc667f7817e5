"""What people see: progress, the status table, log lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from harness.stack.logs import Line
from harness.stack.running import RunningStack
from harness.stack.start import Progress
from harness.stack.status import ResourceStatus, Snapshot

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
STATE_COLOURS = {
    "ready": "green",
    "done": "green",
    "exited": "red",
    "failed": "red",
    "starting": "yellow",
    "waiting": "dim",
}
_USERS_SHOWN = 3


def make_console(*, stderr: bool) -> Console:
    """A console for people; on stderr where stdout belongs to a machine."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_json(record: Mapping[str, Any] | list[Any]) -> None:
    """One line of JSON on stdout."""
    click.echo(json.dumps(record))


class StartProgress:
    """Tells of a start as it goes: a line for each resource that is ready, what is being waited for below."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = console.status("starting", refresh_per_second=4) if console.is_terminal else None
        self._told: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        """Listener of ``start_stack``."""
        if progress.sentence:
            self._console.print(Text(progress.sentence, style="dim"))
        if progress.warning:
            # Seen also where stdout goes to a machine or a file.
            click.secho(progress.warning, fg="yellow", err=True)
        if progress.snapshot:
            self._tell(progress.snapshot)

    def _tell(self, snapshot: Snapshot) -> None:
        for status in snapshot.resources:
            if status.state in ("ready", "done") and status.name not in self._told:
                self._told.add(status.name)
                seconds = f"{status.seconds:.1f} s" if status.seconds is not None else ""
                self._console.print(Text.assemble((f"{status.name:<12}", "bold"), f"{status.state} {seconds}"))
        waited = ", ".join(status.name for status in snapshot.resources if status.state == "starting")
        if self._status and waited:
            self._status.update(f"starting {waited}")

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()


def status_table(resources: Iterable[ResourceStatus]) -> Table:
    """Resource, state, process id, address."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("resource", "state", "pid", "url"):
        table.add_column(title, no_wrap=True)
    for status in resources:
        table.add_row(
            status.name,
            Text(status.label, style=STATE_COLOURS.get(status.state, "")),
            "" if status.pid is None else str(status.pid),
            status.url or "",
        )
    return table


def show_stack(console: Console, stack: RunningStack, *, sign_ins: bool = True) -> None:
    """The table, the addresses, and the sign-ins unless they are told elsewhere."""
    console.print(status_table(stack.resources()))
    if not stack.backends:
        return
    urls = stack.urls
    console.print()
    console.print(Text.assemble(("app    ", "bold"), urls.app))
    console.print(Text.assemble(("admin  ", "bold"), urls.admin))
    console.print(Text.assemble(("api    ", "bold"), urls.api))
    console.print(Text.assemble(("live   ", "bold"), urls.live))
    if not sign_ins:
        return
    users = sorted(stack.users, key=lambda user: user.role != "admin")
    for user in users[:_USERS_SHOWN]:
        line = (f"{user.name} / {user.password}", f" ({user.role})" if user.role != "user" else "")
        console.print(Text.assemble(("sign in as  ", "bold"), *line))
    if len(users) > _USERS_SHOWN:
        more = len(users) - _USERS_SHOWN
        console.print(Text(f"{more} more people: harness status --json", style="dim"))


class LogPrinter:
    """Prints log lines behind the coloured name of their resource."""

    def __init__(self, console: Console, names: Iterable[str]) -> None:
        self._console = console
        self._width = max(map(len, names), default=0)
        self._colours: dict[str, str] = {}

    def __call__(self, line: Line) -> None:
        """Print one line; control characters in it do nothing to the terminal."""
        colour = self._colours.setdefault(line.resource, _COLOURS[len(self._colours) % len(_COLOURS)])
        text = Text.from_ansi(line.text)
        self._console.print(Text.assemble((f"{line.resource:<{self._width}} | ", colour), text))
