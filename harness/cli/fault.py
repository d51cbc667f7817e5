"""``harness fault``: break a stack that is up, for a demo, a load test or to see for oneself."""

from __future__ import annotations

import time
from collections.abc import Mapping

import click

from harness.cli import INTERRUPTED
from harness.cli.output import make_console, print_json
from harness.folders import Folders

_POLL = 0.2


def _settings(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for value in values:
        name, _, number = value.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not NAME=NUMBER, such as seconds=0.5.") from None
    return found


@click.command(
    epilog="""\b
Examples:
  harness up --faults                        a stack whose network can be broken
  harness fault --list                       which faults there are, and their settings
  harness fault redis killed --for 5
  harness fault postgres latency seconds=0.2 jitter=0.1 --for 30
  harness fault backend-1 half_open          until Ctrl-C
  harness fault layer lossy drop=0.1
"""
)
@click.argument("kind", required=False)
@click.argument("how", required=False)
@click.argument("settings", nargs=-1, callback=_settings, metavar="[NAME=NUMBER]...")
@click.option("--for", "seconds", type=click.FloatRange(min=0, min_open=True), help="Seconds; else until Ctrl-C.")
@click.option("--list", "only_list", is_flag=True, help="Only say which faults there are.")
@click.option("--run", help="A run other than the one that is up (or else the only one).")
@click.option(
    "--json", "as_json", is_flag=True, help='Print {"run", "fault", "resources", "seconds", "figures"} at the end.'
)
def fault(
    kind: str | None,
    how: str | None,
    settings: dict[str, float],
    seconds: float | None,
    only_list: bool,
    run: str | None,
    as_json: bool,
) -> int:
    """Break every resource of a KIND (or the one so named) in one of the ways that --list shows, then mend it.

    Whatever it is ends with the command: at the end of --for, at Ctrl-C and at every other end. Only a kill -9 of the
    command leaves what was killed, frozen or failing as it is, until: harness restart NAME
    """
    from harness.faults.catalogue import fault as broken
    from harness.stack import attach
    from harness.stack.running import current_run

    if only_list:
        _list(as_json=as_json)
        return 0
    if kind is None or how is None:
        raise click.UsageError("Say what to break and how, such as: harness fault redis killed. --list shows all.")
    stack = attach(run or current_run(Folders.of_checkout()))
    console = make_console(stderr=as_json)
    interrupted = False
    with broken(stack, kind, how, **settings) as breach:
        began = time.monotonic()
        until = "Ctrl-C" if seconds is None else f"{seconds:g} s are over"
        try:
            console.print(f"[red]{breach.what}[/] until {until}")
            while seconds is None or time.monotonic() - began < seconds:
                time.sleep(_POLL if seconds is None else min(_POLL, max(0.0, seconds + began - time.monotonic())))
        except KeyboardInterrupt:
            # The way out of a fault without an end, and no reason to leave before all is told.
            interrupted = seconds is not None
        figures = breach.figures()
        took = time.monotonic() - began
    console.print(f"[green]{', '.join(breach.names)}: whole again[/] after {took:.1f} s. {_told(figures)}".rstrip())
    if as_json:
        print_json(
            {
                "run": stack.run_id,
                "fault": how,
                "resources": list(breach.names),
                "seconds": round(took, 3),
                "figures": figures,
            }
        )
    return INTERRUPTED if interrupted else 0


def _told(figures: Mapping[str, float]) -> str:
    """What it bit: ``refused 3, cut 2``."""
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in figures.items())


def _list(*, as_json: bool) -> None:
    from harness.faults.catalogue import FAULTS

    if as_json:
        print_json(
            [
                {"name": one.name, "kinds": list(one.kinds), "settings": dict(one.settings), "about": one.about}
                for one in FAULTS.values()
            ]
        )
        return
    for one in FAULTS.values():
        settings = " ".join(
            f"{name}=NUMBER" if default is None else f"[{name}={default:g}]" for name, default in one.settings.items()
        )
        click.secho(f"{one.name} {settings}".rstrip(), bold=True)
        click.echo(f"    {one.about}")
        click.echo(f"    for: {', '.join(one.kinds) or 'every resource'}")
