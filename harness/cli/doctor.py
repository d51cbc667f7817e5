"""``harness doctor``: what of this machine and checkout is in the way, and how to put it right.

Only what the command line itself needs is imported before the checks run: they have to work where parts are missing.
"""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from contextlib import suppress

import click

from harness.doctor.check import Ground, Result
from harness.doctor.examine import examine

BAD = 1
_SIGNS = {"ok": ("✔", "green"), "warn": ("!", "yellow"), "bad": ("✘", "red")}
_NARROWEST = 40


@click.command(
    epilog="""\b
Examples:
  harness doctor
  harness doctor --offline          without asking package registries
  harness doctor --json | jq '.checks[] | select(.state != "ok")'
"""
)
@click.option("--online/--offline", default=True, help="Ask the package registries too (default), or not.")
@click.option(
    "--json", "as_json", is_flag=True, help='Print {"ok", "seconds", "checks": [{name, state, finding, fix}]}.'
)
def doctor(online: bool, as_json: bool) -> int:
    """Look at versions, ports, disks, limits, browser, engine, clock and leftovers; for each trouble say the fix.

    Takes less than five seconds and changes nothing. "!" is a drawback, "✘" keeps something from working; only that
    makes the exit code 1.
    """
    from harness.doctor.catalogue import CHECKS

    checks = [check for check in CHECKS if online or not check.online]
    began = time.monotonic()
    waited = [check.name for check in checks]
    shows = sys.stderr.isatty() and not as_json

    def tell(result: Result) -> None:
        waited.remove(result.name)
        if shows:
            text = f"looking at {', '.join(waited)}"[: _width() - 1] if waited else ""
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)

    results = examine(checks, Ground(), on_result=tell)
    seconds = time.monotonic() - began
    _end_what_hangs()
    healthy = all(result.state != "bad" for result in results)
    if as_json:
        record = {"ok": healthy, "seconds": round(seconds, 3), "checks": [result.record() for result in results]}
        click.echo(json.dumps(record))
    else:
        _show(results, seconds)
    return 0 if healthy else BAD


def _show(results: Sequence[Result], seconds: float) -> None:
    column = max(len(result.name) for result in results) + 4
    for result in results:
        sign, colour = _SIGNS[result.state]
        head = f"{sign} {result.name:<{column - 2}}"
        first, *more = _wrapped(result.finding, column)
        click.echo(click.style(head, fg=colour) + first)
        for line in more:
            click.echo(" " * column + line)
        for number, line in enumerate(_wrapped(result.fix, column + 2) if result.fix else ()):
            click.echo(" " * column + click.style(f"{'  ' if number else '→ '}{line}", bold=True))
    counts = {state: sum(result.state == state for result in results) for state in _SIGNS}
    troubles = [f"{counts['bad']} bad" if counts["bad"] else "", f"{counts['warn']} to know" if counts["warn"] else ""]
    told = ", ".join(filter(None, troubles)) or "nothing is in the way"
    click.echo(f"\n{len(results)} checks in {seconds:.1f} s: {told}.")


def _wrapped(text: str, indent: int) -> list[str]:
    # Whole words and paths, so that a command can be copied.
    return textwrap.wrap(text, _width() - indent, break_long_words=False, break_on_hyphens=False) or [""]


def _width() -> int:
    return max(shutil.get_terminal_size((100, 24)).columns, _NARROWEST)


def _end_what_hangs() -> None:
    """End the programs that checks asked and nobody waits for any more."""
    with suppress(ImportError):
        import psutil

        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
