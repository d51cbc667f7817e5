"""``harness browser``: has a browser for scenarios that are played with eyes."""

from __future__ import annotations

import click

from harness.cli.output import print_json


@click.command(epilog="\b\nExamples:\n  harness browser\n  harness browser --json | jq -r .path")
@click.option("--json", "as_json", is_flag=True, help='Print {"path", "version", "source"}.')
def browser(as_json: bool) -> None:
    """Find the Chromium that actors use, or install one, and say where it is and which version.

    HARNESS_CHROMIUM names one. Otherwise it is the system's or Playwright's; where there is none, one is installed with
    apt-get (as root) or with Playwright's installer.
    """
    from harness.browser.chromium import ensure_chromium

    found = ensure_chromium(lambda sentence: click.echo(sentence, err=True))
    if as_json:
        print_json({"path": str(found.path), "version": found.version, "source": found.source})
        return
    click.echo(f"{found.path}  {found.version}  ({found.source})")
