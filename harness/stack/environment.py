"""The environment of the processes that the harness starts, free of what a shell may hold by chance."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

_BARE = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "TZ"})


def drop_libpq(environ: MutableMapping[str, str]) -> None:
    """Remove PGHOST, PGSSLMODE, PGSERVICE and the like: they would change what a complete URL means."""
    for name in [name for name in environ if name.startswith("PG")]:
        del environ[name]


def bare_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """``ours``, and of this process's environment only what any program needs: no secret can be in it."""
    found = {name: value for name, value in os.environ.items() if name in _BARE or name.startswith("LC_")}
    return {**found, **ours}


def process_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with ``ours`` on top, and nothing in it that outranks ``ours``."""
    found = dict(os.environ)
    drop_libpq(found)
    for name in ours:
        # The stack reads NAME from the file that NAME_FILE names, if there is one.
        found.pop(f"{name}_FILE", None)
    if "DATABASE_URL" in ours and ours["DATABASE_URL"] != os.environ.get("DATABASE_URL"):
        # These lead to the database of the shell, which is not the stack's.
        for name in ("LIVE_DATABASE_URL", "LIVE_DATABASE_URL_FILE"):
            found.pop(name, None)
    return {**found, **ours}
