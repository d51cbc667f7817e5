"""``python -m benchmarks NAME``: measures, prints a table, writes the figures and a report."""

from __future__ import annotations

import sys

import click

from benchmarks.live.command import live
from benchmarks.ssr.command import ssr


@click.group()
def benchmarks() -> None:
    """Measure this stack beside its peers, in turns, in one run."""


benchmarks.add_command(live)
benchmarks.add_command(ssr)

if __name__ == "__main__":
    sys.exit(benchmarks(prog_name="python -m benchmarks"))
