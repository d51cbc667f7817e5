"""Python, the environment that it runs in, and the servers in there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from harness.doctor.check import Check, Finding, Ground, bad, ok, warn

OLDEST = (3, 11)
PREPARE = "python3 noxfile.py -s build"
"""Brings everything of a checkout in step, as every session does."""
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)\s*(?:;\s*([^\\]+))?")
_SHOWN = 3


def python(ground: Ground) -> Finding:
    """The Python that runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        return bad(f"Python {version} is too old", fix="Install Python 3.11 or newer and run: " + PREPARE)
    own = ground.folders.root / ".venv"
    if own.is_dir() and Path(sys.prefix).resolve() != own.resolve():
        return warn(
            f"Python {version} of {sys.prefix}, not of this checkout's .venv",
            fix=f"Use {own}/bin/harness, or activate that environment.",
        )
    return ok(f"Python {version}")


def environment(ground: Ground) -> Finding:
    """Whether `.venv` holds what the lock file says."""
    root = ground.folders.root
    if not (root / ".venv" / "bin" / "python").exists():
        return bad("there is no .venv in this checkout, or no Python in it", fix=PREPARE)
    missing = _differing(root)
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        # The stamp is what a session looks at: without it the environment is made anew.
        return bad(f"in .venv: {', '.join(missing[:_SHOWN])}{more}", fix=f"rm -f .venv/.prepared; {PREPARE}")
    if not _tool(root, "environments").is_in_step():
        return warn(".venv is not in step with requirements/dev.txt and pyproject.toml", fix=PREPARE)
    return ok(".venv is in step with the lock file")


def servers(_ground: Ground) -> Finding:
    """Whether the embedded servers are there."""
    from harness.services import postgres, valkey

    return ok(f"embedded PostgreSQL {postgres.version()} and Valkey {valkey.version()}")


def _differing(root: Path) -> list[str]:
    """What the lock file names and `.venv` lacks or has in another version, in words."""
    from packaging.markers import Marker
    from packaging.utils import canonicalize_name

    # The names of these folders say it all; to read what is in them takes a second on a busy machine.
    found = (place.stem.partition("-") for place in (root / ".venv").glob("lib/python*/site-packages/*.dist-info"))
    installed = {canonicalize_name(name): version for name, _, version in found}
    differing = []
    for line in (root / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines():
        pin = _PIN.match(line)
        if pin is None or (pin[3] and not Marker(pin[3].strip()).evaluate()):
            continue
        version = installed.get(canonicalize_name(pin[1]))
        if version is None:
            differing.append(f"{pin[1]} is missing")
        elif version != pin[2]:
            differing.append(f"{pin[1]} {version} instead of {pin[2]}")
    return differing


def _tool(root: Path, name: str) -> ModuleType:
    """A module of the checkout's tools, which are no part of the installed packages and need nothing of them."""
    path = root / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"checkout_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} can't be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKS = (
    Check(name="python", look=python),
    Check(name="environment", look=environment),
    Check(name="servers", look=servers),
)
