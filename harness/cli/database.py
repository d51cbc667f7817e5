"""``harness reset``, ``harness manage`` and ``harness env``: the database and what talks to it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Mapping

import click

from harness.cli.output import make_console, print_json
from harness.errors import NotRunning, StateFailed
from harness.folders import Folders
from harness.stack import StackOptions, attach, start_stack
from harness.stack.environment import process_environment
from harness.stack.named import SEEDED, STATES
from harness.stack.plan import SERVICES
from harness.stack.running import current_run
from harness.stack.sweep import VARIABLE

_GRACE = 10.0
"""Seconds that a command has to end when it is asked to."""


@click.command(
    epilog="""\b
Examples:
  harness reset
  harness reset busy
  harness reset empty --json
  harness reset seeded --yes --run 20260101-120000-abcdef
"""
)
@click.argument("state", default=SEEDED, type=click.Choice(STATES))
@click.option("--yes", is_flag=True, help="Also if the database is one that DATABASE_URL names.")
@click.option("--run", help="A run other than the one that is up.")
@click.option("--json", "as_json", is_flag=True, help='Print {"run", "state", "seconds"}.')
def reset(state: str, yes: bool, run: str | None, as_json: bool) -> None:
    """Bring the database of the stack that is up to a named state. What it holds now is LOST.

    \b
    empty   migrated, with nobody in it
    seeded  the test users and their chats, as after the first start (the default)
    busy    those, and 200 chats with 20,000 messages of the last weeks

    The stack goes on: its processes reconnect, and people who exist in the new state stay signed in. It is done when
    a change has arrived at every backend. A state is made when it is first asked for, and again for other code.
    """
    stack = attach(run)
    if stack.services[0] == "url" and not yes:
        raise StateFailed(
            "The database is one that DATABASE_URL names, and a reset drops what it holds.",
            hint="Add --yes if that is what you want.",
        )
    console = make_console(stderr=as_json)
    begun = time.monotonic()
    with console.status(f"bringing the database to {state}", refresh_per_second=4):
        stack.reset(state, tell=console.print)
    seconds = time.monotonic() - begun
    if as_json:
        print_json({"run": stack.run_id, "state": state, "seconds": round(seconds, 3)})
    else:
        console.print(f"The database is {state} ({seconds:.1f} s); what it held before is gone.")


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  harness manage shell
  harness manage makemigrations chat --dry-run
  harness manage actors --count 20 --json > actors.json
""",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def manage(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Run manage.py with ARGUMENTS in the environment of the stack that is up.

    If none is up, a throwaway Postgres and Redis are started for as long as the command takes.
    """
    if arguments in ((), ("--help",), ("-h",)):
        click.echo(context.get_help())
        return
    try:
        environment = attach().environment
    except NotRunning:
        with start_stack(StackOptions(resources=SERVICES)) as stack:
            given = "url" in stack.services
            kind = "the servers that the environment names" if given else "throwaway ones, whose data goes with it"
            click.echo(f"No stack is up: the command gets Postgres and Redis, {kind}.", err=True)
            code = _run(arguments, stack.environment)
    else:
        code = _run(arguments, environment)
    context.exit(code)


def _run(arguments: tuple[str, ...], environment: Mapping[str, str]) -> int:
    # Django reads its terminal as if it had been called directly.
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=Folders.of_checkout().root,
        env=process_environment(environment),
    )
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # The terminal has sent it to both: the command ends by itself, and says how.
        process.wait()
        raise
    except BaseException:
        # A request to end was sent to us alone.
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return code if code >= 0 else 128 - code


@click.command(
    epilog="""\b
Examples:
  eval "$(harness env --export)"
  harness env --json | jq -r .DATABASE_URL
"""
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--export", is_flag=True, help="Print lines for a shell to evaluate.")
@click.option("--run", help="A run other than the one that is up (or else the only one).")
def env(as_json: bool, export: bool, run: str | None) -> None:
    """Print the environment of the stack that is up, or else of the only run.

    That is what it is for, so it CONTAINS SECRETS: the passwords of Postgres and Redis and the signing key.
    """
    # Whatever carries the run's id is ended with the run, which a shell must not be.
    environment = attach(run or current_run(Folders.of_checkout())).environment
    values = {name: value for name, value in environment.items() if name != VARIABLE}
    if as_json:
        print_json(values)
        return
    for name, value in values.items():
        click.echo(f"export {name}={shlex.quote(value)}" if export else f"{name}={value}")
