"""``harness status --watch``: the whole stack on one screen, or in a line a second."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.cli.output import STATE_COLOURS, print_json
from harness.cli.pulse import Beat, Health, Pulse, Row
from harness.errors import SupervisorGone
from harness.stack import RunningStack

EVERY = 1.0
"""Seconds from one line to the next without a terminal."""
REDRAW_EVERY = 0.5
WIDE = 90
"""Columns from which on addresses stand beside the resources."""
LATE = 2.0
"""Seconds of lag that are shown in red: a relay that was lost has been replaced by then."""


def watch(stack: RunningStack, console: Console, *, as_json: bool, sign_ins: bool) -> None:
    """Show the stack until it ends, which is told; Ctrl-C comes through as KeyboardInterrupt.

    On a terminal it is redrawn twice a second, elsewhere a line is printed each second, as JSON if `as_json`.
    `sign_ins`: with passwords. Raises `SupervisorGone` if the supervisor was killed.
    """
    with Pulse(stack) as pulse:
        # The first answers are worth the wait, so that nothing looks unwell that was only not asked yet.
        pulse.ended.wait(REDRAW_EVERY)
        if as_json or not console.is_terminal:
            _lines(pulse, stack, console, as_json=as_json, sign_ins=sign_ins)
        else:
            _screen(pulse, stack, console, sign_ins=sign_ins)
        if pulse.reason is None:
            raise SupervisorGone(
                "The supervisor of this run was killed, and everything of the run with it.",
                hint="Start again with: harness up",
            )
        if not as_json:
            console.print(f"The stack has ended: {pulse.reason}.", soft_wrap=True)


def board(beat: Beat, stack: RunningStack, *, width: int, sign_ins: bool) -> RenderableType:
    """The screen: resources with their health and last line, figures, addresses, people."""
    # Where the screen is too low the end is cut off, so what matters most comes first.
    parts: list[RenderableType] = [_heading(beat), _figures(beat), Text(), _resources(beat.rows, width)]
    if stack.backends:
        parts += [Text(), _places(stack), Text(), _people(stack, sign_ins=sign_ins)]
    return Group(*parts)


def line(beat: Beat) -> str:
    """The same in one line: what is ready, what is not, and the figures."""
    well = [row for row in beat.rows if row.status.state in ("ready", "done") and _is_well(row.health)]
    told = [f"{beat.at.astimezone():%H:%M:%S}", f"{len(well)}/{len(beat.rows)} well", *_told_figures(beat)]
    told += [f"{row.status.name} {_trouble(row)}" for row in beat.rows if row not in well]
    return "  ".join(told)


def _lines(pulse: Pulse, stack: RunningStack, console: Console, *, as_json: bool, sign_ins: bool) -> None:
    due = time.monotonic()
    while not pulse.ended.is_set():
        beat = pulse.beat()
        if as_json:
            users = [{"name": user.name, "password": user.password, "role": user.role} for user in stack.users]
            print_json({**beat.record(), **({"users": users} if sign_ins else {})})
        else:
            console.print(Text(line(beat)), soft_wrap=True)
        due += EVERY
        pulse.ended.wait(max(0.0, due - time.monotonic()))


def _screen(pulse: Pulse, stack: RunningStack, console: Console, *, sign_ins: bool) -> None:
    def draw() -> RenderableType:
        return board(pulse.beat(), stack, width=console.width, sign_ins=sign_ins)

    with Live(draw(), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while not pulse.ended.wait(REDRAW_EVERY):
            live.update(draw(), refresh=True)
        live.update(draw(), refresh=True)


def _heading(beat: Beat) -> Text:
    heading = Text.assemble(("run ", "dim"), (beat.run, "bold"), no_wrap=True, overflow="ellipsis")
    heading.append(f"  {beat.phase}", "green" if beat.phase == "ready" else "yellow")
    heading.append(f"  {beat.at.astimezone():%H:%M:%S}", "dim")
    return heading


def _resources(rows: Sequence[Row], width: int) -> Group:
    """Each in one line of columns, with its log's last line below; nothing is wider than the screen."""
    name = max((len(row.status.name) for row in rows), default=0)
    label = max((len(row.status.label) for row in rows), default=0)
    lines: list[Text] = []
    for row in rows:
        status = row.status
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{status.name:<{name}}  ", "bold")
        text.append(f"{status.label:<{label}} ", STATE_COLOURS.get(status.state, ""))
        text.append(f"{'' if status.pid is None else status.pid:>7}  ", "dim")
        text.append(f"{_age(row):<11}")
        if width >= WIDE and status.url:
            text.append(f" {status.url}", "dim")
        lines.append(text)
        if row.health is not None:
            lines.append(_health(row.health))
        if row.line:
            lines.append(Text(f"  {row.line}", style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _health(health: Health) -> Text:
    if not health.answers:
        return Text("  does not answer", style="red")
    well = [name for name, state in health.checks.items() if state == "ok"]
    text = Text("  ", overflow="fold")
    text.append(f"✔ {', '.join(well)}", "green" if health.ready else "yellow")
    for name, state in health.checks.items():
        if state != "ok":
            text.append(f"\n  {'!' if health.ready else '✘'} {name}: {state}", "yellow" if health.ready else "red")
    return text


def _figures(beat: Beat) -> Text:
    late = beat.lag is not None and beat.lag >= LATE
    events, sockets, lag = _told_figures(beat)
    return Text.assemble((f"{events}  {sockets}  ", "bold"), (lag, "bold red" if late else "bold"))


def _told_figures(beat: Beat) -> tuple[str, str, str]:
    rate = "?" if beat.events_per_second is None else f"{beat.events_per_second:.1f}"
    lag = "?" if beat.lag is None else f"{beat.lag:.1f}"
    return f"{rate} events/s", f"{'?' if beat.sockets is None else beat.sockets} sockets", f"relay lag {lag} s"


def _places(stack: RunningStack) -> Table:
    urls = stack.urls
    table = Table.grid(padding=(0, 2))
    for name, url in (("app", urls.app), ("admin", urls.admin), ("api", urls.api), ("live", urls.live)):
        table.add_row(Text(name, style="dim"), Text(url, no_wrap=True, overflow="ellipsis"))
    return table


def _people(stack: RunningStack, *, sign_ins: bool) -> RenderableType:
    users = sorted(stack.users, key=lambda user: user.role != "admin")
    if not sign_ins:
        names = ", ".join(user.name for user in users)
        return Text.assemble(("sign in as  ", "dim"), names, ("  (passwords: --sign-ins)", "dim"))
    table = Table.grid(padding=(0, 2))
    for user in users:
        table.add_row(Text("sign in as", style="dim"), user.name, user.password, Text(user.role, style="dim"))
    return table


def _is_well(health: Health | None) -> bool:
    return health is None or health.ready


def _trouble(row: Row) -> str:
    if row.health is None or row.status.state != "ready":
        return row.status.label
    if not row.health.answers:
        return "does not answer"
    return "unready (" + ", ".join(name for name, state in row.health.checks.items() if state != "ok") + ")"


def _age(row: Row) -> str:
    """For how long it has been up, else in how long it was ready or done."""
    if row.uptime is not None and row.status.state != "starting":
        return f"up {_span(row.uptime)}"
    over = row.status.seconds is None or row.status.state not in ("ready", "done")
    return "" if over else f"in {row.status.seconds:.1f} s"


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 86400 else f"{seconds / 86400:.1f} days"
