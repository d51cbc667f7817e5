"""The environment of the processes that the harness starts, free of what a shell may hold by chance."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping


def drop_libpq(environ: MutableMapping[str, str]) -> None:
    """Remove PGHOST, PGSSLMODE, PGSERVICE and the like: they would change what a complete URL means."""
    for name in [name for name in environ if name.startswith("PG")]:
        del environ[name]


def process_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with ``ours`` on top, and nothing in it that outranks ``ours``."""
    found = dict(os.environ)
    drop_libpq(found)
    for name in ours:
        # The stack reads NAME from the file that NAME_FILE names, if there is one.
        found.pop(f"{name}_FILE", None)
    return {**found, **ours}
