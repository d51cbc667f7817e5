"""``harness up``, ``harness down`` and ``harness restart``."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from harness.cli.output import LogPrinter, StartProgress, make_console, print_json, show_stack
from harness.errors import SupervisorGone
from harness.folders import Folders
from harness.services.choose import SERVICE_CHOICES, Choice
from harness.stack import RunningStack, Snapshot, StackOptions, attach, start_stack
from harness.stack.logs import Follower
from harness.stack.plan import SCALABLE
from harness.stack.running import current_run, run_to_end, shut_down

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
  harness up --dev                        every change of the code shows at once
  harness up --faults                     the network can be broken, with: harness fault
  DATABASE_URL=postgres://... harness up  use a database that runs elsewhere
  harness up --services containers        Postgres and Redis in containers
"""
)
@click.option("--detach", "-d", is_flag=True, help="Leave the stack running; end it with: harness down")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON, sign-ins included; words go to stderr.")
@click.option(
    "--services",
    type=click.Choice(SERVICE_CHOICES),
    default="auto",
    show_default=True,
    help="Where Postgres and Redis come from; auto: DATABASE_URL and REDIS_URL if set, else containers if an engine"
    " answers, else embedded.",
)
@click.option(
    "--scale",
    multiple=True,
    metavar="KIND=N",
    callback=_scale,
    help=f"Run several of a kind ({', '.join(SCALABLE)}); repeatable.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="The app's port; default: 8000 if free, else a free one.")
@click.option("--dev", "develop", is_flag=True, help="Serve the code as it is being edited, front end and backend.")
@click.option(
    "--faults",
    "proxies",
    is_flag=True,
    help="Put a proxy in front of everything, so that harness fault can break the network.",
)
def up(
    detach: bool,
    as_json: bool,
    services: Choice,
    scale: dict[str, int],
    port: int | None,
    develop: bool,
    proxies: bool,
) -> None:
    """Start the whole stack; its data survives down and up."""
    console = make_console(stderr=as_json)
    options = StackOptions(
        services=services, scale=scale, durable=True, port=port, up=True, develop=develop, proxies=proxies
    )
    begun = time.monotonic()
    with ExitStack() as opened:
        with StartProgress(console) as progress:
            # Owned before the progress is taken off the screen: a Ctrl-C may come meanwhile.
            stack = opened.enter_context(start_stack(options, on_progress=progress))
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


@click.command(
    epilog="\b\nExamples:\n  harness down\n  harness down --run 20260101-120000-abcdef\n  harness down --json"
)
@click.option("--run", help="A run other than the one that is up, such as a demo.")
@click.option("--json", "as_json", is_flag=True, help='Print {"run", "seconds"}.')
def down(run: str | None, as_json: bool) -> None:
    """End the stack that is up; its data is kept."""
    folders = Folders.of_checkout()
    run = run_to_end(run, folders=folders)
    begun = time.monotonic()
    shut_down(folders.runs / run, reason="harness down")
    seconds = time.monotonic() - begun
    if as_json:
        print_json({"run": run, "seconds": round(seconds, 3)})
    else:
        make_console(stderr=False).print(f"Ended run {run} in {seconds:.1f} s.")


@click.command(
    epilog="""\b
Examples:
  harness restart relay
  harness restart backend-1 --json
  harness restart redis --run 20260101-120000-abcdef
"""
)
@click.argument("name")
@click.option("--run", help="A run other than the one that is up (or else the only one).")
@click.option("--json", "as_json", is_flag=True, help='Print {"run", "resource", "seconds"}.')
def restart(name: str, run: str | None, as_json: bool) -> None:
    """End the resource NAME if it lives, start it again and wait until it is ready."""
    stack = attach(run or current_run(Folders.of_checkout()))
    begun = time.monotonic()
    stack.restart(name)
    seconds = time.monotonic() - begun
    status = stack.resource(name)
    if as_json:
        print_json({"run": stack.run_id, "resource": status.record(), "seconds": round(seconds, 3)})
        return
    process = "" if status.pid is None else f", process {status.pid}"
    make_console(stderr=False).print(f"{name} is {status.label} again{process} ({seconds:.1f} s).")


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
    for line in follower.drain():
        show(line)
    if last[0].phase != "ending":
        raise SupervisorGone(
            "The supervisor of this run was killed, and everything of the run with it.",
            hint="Start again with: harness up",
        )
    console.print(f"The stack has ended: {last[0].reason}.")
