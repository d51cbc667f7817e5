"""``harness up`` and ``harness down``."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import click

from harness.cli.output import LogPrinter, StartProgress, make_console, print_json, show_stack
from harness.errors import SupervisorGone
from harness.services.choose import CHOICES, Choice
from harness.stack import RunningStack, Snapshot, StackOptions, attach, start_stack
from harness.stack.logs import Follower
from harness.stack.plan import SCALABLE

if TYPE_CHECKING:
    from rich.console import Console

_POLL = 0.2


def _scale(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        kind, _, count = value.partition("=")
        if kind not in SCALABLE or not count.isdecimal() or not 1 <= int(count) <= 16:
            raise click.BadParameter(f"{value!r} is not KIND=1..16 with one of {', '.join(SCALABLE)}.")
        found[kind] = int(count)
    return found


@click.command(
    epilog="""\b
Examples:
  harness up                              follow the logs, end with Ctrl-C
  harness up --detach --json              leave it running, print its addresses and sign-ins
  harness up --scale backend=2 --port 8080
  DATABASE_URL=postgres://... harness up  use a database that runs elsewhere
"""
)
@click.option("--detach", "-d", is_flag=True, help="Leave the stack running; end it with: harness down")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON, sign-ins included; words go to stderr.")
@click.option(
    "--services",
    type=click.Choice(CHOICES),
    default="auto",
    show_default=True,
    help="Where Postgres and Redis come from; auto: DATABASE_URL and REDIS_URL if set, else embedded.",
)
@click.option(
    "--scale",
    multiple=True,
    metavar="KIND=N",
    callback=_scale,
    help="Run several of a kind (backend, relay, worker); repeatable.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="The app's port; default: 8000 if free, else a free one.")
def up(detach: bool, as_json: bool, services: Choice, scale: dict[str, int], port: int | None) -> None:
    """Start the whole stack; its data survives down and up."""
    console = make_console(stderr=as_json)
    options = StackOptions(services=services, scale=scale, durable=True, port=port, up=True)
    begun = time.monotonic()
    with StartProgress(console) as progress:
        stack = start_stack(options, on_progress=progress)
    with stack:
        console.print(f"[bold]Up after {time.monotonic() - begun:.1f} s:[/] run {stack.run_id}\n")
        show_stack(console, stack, sign_ins=not as_json)
        if as_json:
            print_json(stack.record())
        if detach:
            stack.detach()
            console.print("\nEnd it with: harness down")
            return
        console.print("\n[dim]End it with Ctrl-C.[/]\n")
        try:
            _follow(console, stack, quiet=as_json)
        except KeyboardInterrupt:
            with console.status("ending the stack", refresh_per_second=4):
                stack.close()
            raise


@click.command(epilog="\b\nExamples:\n  harness down\n  harness down --json")
@click.option("--json", "as_json", is_flag=True, help='Print {"run", "seconds"}.')
def down(as_json: bool) -> None:
    """End the stack that is up; its data is kept."""
    stack = attach()
    begun = time.monotonic()
    stack.shutdown(reason="harness down")
    seconds = time.monotonic() - begun
    if as_json:
        print_json({"run": stack.run_id, "seconds": round(seconds, 3)})
    else:
        make_console(stderr=False).print(f"Ended run {stack.run_id} in {seconds:.1f} s.")


def _follow(console: Console, stack: RunningStack, *, quiet: bool) -> None:
    """Print what the logs get until the run ends; with ``quiet`` only what becomes of the resources."""
    ended = threading.Event()
    last: list[Snapshot] = [stack.snapshot()]

    def watch() -> None:
        try:
            for snapshot in stack.watch():
                for before, now in zip(last[0].resources, snapshot.resources, strict=True):
                    if now.state == "exited" and before.state != "exited":
                        console.print(f"[red]{now.name} {now.label}[/]: see harness logs {now.name}")
                last[0] = snapshot
        except SupervisorGone:
            pass
        finally:
            ended.set()

    threading.Thread(target=watch, daemon=True).start()
    follower = Follower(stack.folder, () if quiet else None)
    show = LogPrinter(console, (status.name for status in last[0].resources))
    while not ended.wait(_POLL):
        for line in follower.new_lines():
            show(line)
    if last[0].phase != "ending":
        raise SupervisorGone(
            "The supervisor of this run was killed, and everything of the run with it.",
            hint="Start again with: harness up",
        )
    console.print(f"The stack has ended: {last[0].reason}.")
