"""Which commands there are; each module is imported when its command is used."""

from __future__ import annotations

import importlib
import sys

import click

from harness.cli import INTERRUPTED
from harness.errors import BuildFailed, HarnessError, ResourceFailed
from harness.folders import place_trouble

# In the order of the help: command, then the module that has it under the same name.
COMMANDS = {
    "up": "harness.cli.lifecycle",
    "down": "harness.cli.lifecycle",
    "restart": "harness.cli.lifecycle",
    "status": "harness.cli.look",
    "logs": "harness.cli.look",
    "build": "harness.cli.build",
    "reset": "harness.cli.database",
    "manage": "harness.cli.database",
    "env": "harness.cli.database",
    "scenario": "harness.cli.play",
    "demo": "harness.cli.play",
    "fault": "harness.cli.fault",
    "browser": "harness.cli.browser",
    "report": "harness.cli.report",
    "doctor": "harness.cli.doctor",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name only."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(importlib.import_module(module), cmd_name)
        return command if isinstance(command, click.Command) else None


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def harness() -> None:
    """Starts the whole stack on this machine, looks at it, plays scenarios on it.

    \b
    Examples:
      harness up                  start everything, follow the logs, end it with Ctrl-C
      harness up --detach         ... and leave it running
      harness manage shell        any manage.py command in the right environment
      harness down
      harness doctor              what of this machine is in the way of all that
    """


def run() -> int:
    """Run the command line; returns the exit code."""
    try:
        code = harness.main(prog_name="harness", standalone_mode=False)
    except HarnessError as error:
        complain(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as interrupt:
        raise KeyboardInterrupt from interrupt
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough; what is buffered cannot go anywhere.
        sys.stdout = None
        return 0
    except OSError as error:
        trouble = place_trouble(error)
        if trouble is None:
            raise
        complain(trouble)
        return trouble.exit_code
    return code if isinstance(code, int) else 0


def complain(error: HarnessError) -> None:
    """Tell people what went wrong: the last lines of the log of what failed, the sentence, the next step."""
    if isinstance(error, ResourceFailed | BuildFailed) and error.lines:
        what = error.resource if isinstance(error, ResourceFailed) else "the build"
        click.secho(f"last lines of {what}:", dim=True, err=True)
        for line in error.lines:
            click.echo(f"  {line}", err=True)
    click.secho(str(error), fg="red", err=True)
    if error.hint:
        click.echo(error.hint, err=True)


__all__ = ["COMMANDS", "INTERRUPTED", "complain", "harness", "run"]
