"""``harness build``: the front end, built ahead of the start that would need it."""

from __future__ import annotations

import time

import click

from harness.cli.output import make_console, print_json
from harness.folders import Folders


@click.command(
    epilog="""\b
Examples:
  harness build                 does nothing if this front end has been built before
  harness build --json | jq -r .path
  harness build --packages      only what npm installs
"""
)
@click.option("--force", is_flag=True, help="Build also if there is a build of this very front end.")
@click.option("--packages", "only_packages", is_flag=True, help="Only bring the packages in step with the lock file.")
@click.option("--json", "as_json", is_flag=True, help='Print {"path", "digest", "made", "seconds"}.')
def build(force: bool, only_packages: bool, as_json: bool) -> None:
    """Build the front end: the renderer and the exported pages, into one folder below .cache/frontend.

    Every start does this by itself. A build is made once for each content of the folder frontend.
    """
    from harness.frontend.build import ensure_build
    from harness.frontend.packages import ensure_packages

    if only_packages and (force or as_json):
        raise click.UsageError("--packages goes with neither --force nor --json.")
    folders = Folders.of_checkout()
    console = make_console(stderr=as_json)
    begun = time.monotonic()
    if only_packages:
        ensure_packages(folders, on_progress=console.print)
        return
    found = ensure_build(folders, on_progress=console.print, force=force)
    if as_json:
        seconds = round(time.monotonic() - begun, 3)
        print_json({"path": str(found.path), "digest": found.digest, "made": found.made, "seconds": seconds})
    else:
        console.print(str(found.path))
