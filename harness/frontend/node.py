"""Finding the Node.js that builds and serves the front end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from harness.errors import NodeMissing

OLDEST = 24
"""The first major version of Node.js that will do."""
VARIABLE = "HARNESS_NODE"
_TRIAL = 20.0
"""Seconds that a program gets to say its version."""
_PREPARE = "Let it be prepared with: python3 noxfile.py -s build"


@dataclass(frozen=True)
class Node:
    """``binary`` is the program itself, never a script or a link in front of it: its death is the server's."""

    binary: Path
    npm: Path
    version: str

    def path(self) -> str:
        """PATH for what npm starts: this Node.js before all others."""
        return os.pathsep.join([str(self.binary.parent), os.environ.get("PATH", os.defpath)])


def find_node(root: Path) -> Node:
    """The Node.js that HARNESS_NODE names, else the first on PATH, else the one that the nox sessions prepare.

    ``root`` is the checkout. Raises NodeMissing if none of them is new enough and has npm.
    """
    given = os.environ.get(VARIABLE)
    if given:
        node = _node(Path(given))
        if node is None:
            raise NodeMissing(
                f"{VARIABLE} names {given}, which is not Node.js {OLDEST} or newer with npm.",
                hint=f"Put {VARIABLE} right, or unset it.",
            )
        return node
    for candidate in _candidates(root):
        node = _node(candidate)
        if node is not None:
            return node
    raise NodeMissing(f"There is no Node.js {OLDEST} or newer with npm on PATH, nor a prepared one.", hint=_PREPARE)


def _candidates(root: Path) -> Iterator[Path]:
    on_path = shutil.which("node")
    if on_path is not None:
        yield Path(on_path)
    # Where tools/node.py puts it.
    yield root / ".cache" / "node-current" / "bin" / "node"


def _node(program: Path) -> Node | None:
    said = _said(program.absolute())
    if said is None:
        return None
    binary, version = said
    if int(version.partition(".")[0]) < OLDEST:
        return None
    places = [program.absolute().parent, binary.parent]
    npm = shutil.which("npm", path=os.pathsep.join(map(str, places))) or shutil.which("npm")
    return Node(binary, Path(npm), version) if npm else None


@lru_cache
def _said(program: Path) -> tuple[Path, str] | None:
    """The binary behind ``program`` and its version, as it says itself, once for each process of the harness."""
    question = "JSON.stringify([process.execPath, process.versions.node])"
    try:
        answer = subprocess.run(
            [program, "-p", question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TRIAL,
            check=True,
        ).stdout
        binary, version = json.loads(answer)
        return Path(binary), str(version)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
