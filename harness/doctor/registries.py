"""Whether what has to be installed could be: asked through the clients themselves, with their own settings.

What they say is not shown, as the address of an index may hold a password.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness.doctor.check import Check, Finding, Ground, ok, warn
from harness.doctor.frontend import the_node
from harness.errors import NodeMissing

WITHIN = 3.5
"""Seconds; less than all checks have together, so that a client that waits is ended here."""
_DENIED = ("401", "403", "e401", "e403", "unauthorized", "forbidden")
_NEEDED = "what is installed already goes on working"


def python_packages(ground: Ground) -> Finding:
    """Whether the index of Python packages answers."""
    root = ground.folders.root
    uv = _uv(root, ground.environ)
    if uv is not None:
        settings = ("--no-deps", "--no-cache", "--no-header", "--no-annotate", "--quiet")
        environ = {"UV_HTTP_RETRIES": "0", **ground.environ}
        return _asked([uv, "pip", "compile", *settings, "-"], "nox", root, environ)
    return _asked([sys.executable, "-m", "pip", "index", "versions", "nox"], "", root, ground.environ)


def npm_packages(ground: Ground) -> Finding:
    """Whether npm's registry answers."""
    try:
        node = the_node(ground.folders.root)
    except NodeMissing as error:
        return warn("can't be asked without Node.js", fix=error.hint)
    command = [str(node.npm), "view", "next", "version", "--prefer-online", "--fetch-retries=0"]
    return _asked(command, "", ground.folders.root / "frontend", {**ground.environ, "PATH": node.path()})


def _uv(root: Path, environ: Mapping[str, str]) -> str | None:
    """The uv on PATH, else the one that the sessions prepared."""
    found = shutil.which("uv", path=environ.get("PATH", os.defpath))
    return found or next(map(str, sorted(root.glob(".cache/nox-env-*/bin/uv"))), None)


def _asked(command: Sequence[str], text: str, directory: Path, environ: Mapping[str, str]) -> Finding:
    name = Path(command[0]).name if "-m" not in command else "pip"
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=directory,
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # What the client starts has to end with it.
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(text, timeout=WITHIN)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return _silent(f"no answer within {WITHIN:g} s", name)
    if process.returncode == 0:
        return ok(f"answers {name} in {time.monotonic() - began:.1f} s")
    if any(sign in said.lower().replace("(", " ").replace(")", " ").split() for sign in _DENIED):
        return warn(
            f"refuses {name}, perhaps for want of credentials; {_NEEDED}",
            fix=f"Put the credentials in {name}'s settings right.",
        )
    return _silent("can't be reached", name)


def _silent(what: str, name: str) -> Finding:
    where = {"uv": "UV_DEFAULT_INDEX or uv.toml", "pip": "pip config list"}.get(name, "npm config get registry")
    return warn(f"{what} by {name}; {_NEEDED}", fix=f"Check the network, the proxy and {name}'s settings ({where}).")


CHECKS = (
    Check(name="python packages", look=python_packages, online=True),
    Check(name="npm registry", look=npm_packages, online=True),
)
