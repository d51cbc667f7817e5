"""The environments behind the sessions: a small one that holds nox and uv, and `.venv` with all the rest.

Only the standard library is used: `python3 noxfile.py` runs this before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
VENV = ROOT / ".venv"
STAMP = VENV / ".prepared"
UNFINISHED = "unfinished"

_PROGRESS = ("Downloading", "Downloaded", "Building", "Built", "Prepared", "Installed")
_UNREACHABLE = (
    "error sending request",
    "failed to fetch",
    "dns error",
    "name resolution",
    "name or service not known",
    "connection refused",
    "connection broken",
    "connectionerror",
    "network is unreachable",
    "timed out",
    "max retries exceeded",
    "tunnel error",
    "certificate",
)


class EnvironmentProblem(Exception):
    """An environment could not be made; the message is one sentence for people and says what to do next."""


def run_nox(arguments: Sequence[str]) -> None:
    """Replace this process by nox on the repository's noxfile, in the small environment; never returns.

    Exits with 1 and one sentence when that environment cannot be made, with 130 when interrupted.
    """
    try:
        environment = nox_environment()
    except EnvironmentProblem as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        say("Stopped while preparing the tools; the next start takes it up again.")
        sys.exit(130)
    python = environment / "bin" / "python"
    sys.stdout.flush()
    # Not a child: Ctrl-C and the exit code are nox's own.
    os.execv(python, [str(python), "-m", "nox", "-f", str(ROOT / "noxfile.py"), *arguments])


def nox_environment() -> Path:
    """Folder of the environment made from `requirements/nox.txt`; made on first use, then only looked up.

    Raises EnvironmentProblem.
    """
    requirements = ROOT / "requirements" / "nox.txt"
    key = digest(requirements.read_bytes(), sys.version.encode(), sys.base_prefix.encode())[:12]
    target = CACHE / f"nox-env-{key}"
    python = target / "bin" / "python"
    if python.exists():
        return target
    with one_at_a_time("nox-env", "the tools") as lock:
        if python.exists():
            return target
        say("Preparing the tools (once)...")
        began = time.monotonic()
        for leftover in [*CACHE.glob("nox-env-*.making"), target]:
            shutil.rmtree(leftover, ignore_errors=True)
        making = CACHE / f"{target.name}.making"
        try:
            pip = _bare_environment(making, lock=lock)
            install = ["install", "--quiet", "--no-input", "--require-hashes", "-r", str(requirements)]
            execute([*pip, *install], lock=lock, name="nox-env", what="the tools")
            # A rename shows it whole or not at all. Its scripts keep the old path: use `-m` and binaries.
            making.rename(target)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        say(f"Prepared the tools in {time.monotonic() - began:.0f} s.")
    return target


def development_environment() -> None:
    """Bring `.venv` in step with `requirements/dev.txt` and `pyproject.toml`; does no work when it is.

    Raises EnvironmentProblem.
    """
    if is_in_step():
        return
    with one_at_a_time("venv", ".venv") as lock:
        state = _read_stamp()
        if state == _wanted_stamp():
            return
        say("Preparing the development environment in .venv...")
        began = time.monotonic()
        uv = find_uv()
        # The scripts in it name the folder it was made in, so one that was moved or copied is of no use.
        if not _has_python() or (state is not None and not state.startswith(f"{ROOT}\n")):
            _make_venv(uv, lock=lock)
        STAMP.write_text(UNFINISHED)
        python = ["--python", str(VENV / "bin" / "python")]
        locked = ["--require-hashes", str(ROOT / "requirements" / "dev.txt")]
        # Compiled once here: where Python may not write bytecode, every start of every process would compile it again.
        execute([uv, "pip", "sync", "--compile-bytecode", *python, *locked], lock=lock, name="venv", what=".venv")
        own = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
        execute([uv, "pip", "install", *python, *own], lock=lock, name="venv-own", what=".venv")
        written = STAMP.with_suffix(".new")
        written.write_text(_wanted_stamp())
        written.replace(STAMP)
        say(f"Prepared .venv in {time.monotonic() - began:.0f} s.")


def is_in_step() -> bool:
    """Whether `.venv` is as `requirements/dev.txt` and `pyproject.toml` want it; changes nothing."""
    return _read_stamp() == _wanted_stamp()


def find_uv() -> str:
    """Path of uv: beside the running nox, else from PATH, else in the small environment.

    Raises EnvironmentProblem.
    """
    with contextlib.suppress(ImportError, FileNotFoundError):
        return str(importlib.import_module("uv").find_uv_bin())
    return shutil.which("uv") or str(nox_environment() / "bin" / "uv")


def _bare_environment(folder: Path, *, lock: int) -> list[str]:
    """Make an empty environment and return the command that is its pip."""
    python = str(folder / "bin" / "python")
    if importlib.util.find_spec("ensurepip"):
        execute([sys.executable, "-m", "venv", str(folder)], lock=lock, name="nox-venv", what="the tools")
        return [python, "-m", "pip"]
    # Debian's bare python3 lacks ensurepip, but its pip, where installed, can serve another environment.
    if not importlib.util.find_spec("pip"):
        raise EnvironmentProblem(
            f"{sys.executable} can make no environment because it comes without ensurepip and pip: "
            "install them (Debian and Ubuntu: apt install python3-venv) and run the command again."
        )
    execute(
        [sys.executable, "-m", "venv", "--without-pip", str(folder)],
        lock=lock,
        name="nox-venv",
        what="the tools",
    )
    return [sys.executable, "-m", "pip", "--python", python]


def _make_venv(uv: str, *, lock: int) -> None:
    if VENV.exists():
        shutil.rmtree(VENV)
    # An older Python runs nox well enough, but not the project: then uv looks for a fitting one.
    python = sys.executable if sys.version_info >= (3, 11) else ">=3.11"
    execute([uv, "venv", "--no-project", "--python", python, str(VENV)], lock=lock, name="venv-make", what=".venv")


def _has_python() -> bool:
    return (VENV / "bin" / "python").exists() and (VENV / "pyvenv.cfg").exists()


def _read_stamp() -> str | None:
    """What the stamp says, None without one or when the Python below `.venv` is gone."""
    try:
        return STAMP.read_text() if _has_python() else None
    except OSError:
        return None


def _wanted_stamp() -> str:
    """The checkout's folder, and a digest of all that decides what lies in `.venv`.

    Settings of linters and the like are left out.
    """
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packaging = [project["project"], project["build-system"], project["tool"].get("hatch")]
    config = VENV / "pyvenv.cfg"
    made_from = digest(
        (ROOT / "requirements" / "dev.txt").read_bytes(),
        json.dumps(packaging, sort_keys=True).encode(),
        config.read_bytes() if config.exists() else b"",
    )
    return f"{ROOT}\n{made_from}\n"


@contextlib.contextmanager
def one_at_a_time(name: str, what: str) -> Iterator[int]:
    """Hold a lock that ends with its holders, so that a killed start blocks nobody; yields its descriptor.

    Raises EnvironmentProblem for every trouble with files inside.
    """
    try:
        CACHE.mkdir(exist_ok=True)
        with (CACHE / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"Another start is preparing {what}; waiting for it...")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock.fileno()
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise EnvironmentProblem(
            f"Preparing {what} failed: {error.strerror or error}{place}; put that right and run the command again."
        ) from error


def execute(command: Sequence[str], *, lock: int, name: str, what: str) -> None:
    """Run an installer quietly, its output kept in `.cache/logs/`; turn its failure into one sentence.

    Raises EnvironmentProblem.
    """
    log = CACHE / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_NO_PROGRESS": "1"}
    environment.pop("PYTHONHOME", None)
    lines: list[str] = []
    with (
        log.open("w") as kept,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # An installer that outlives a killed start keeps the lock, so that the next one waits for it.
            pass_fds=(lock,),
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                kept.write(line)
                lines.append(line.strip())
                if line.lstrip().startswith(_PROGRESS):
                    say("  " + line.strip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise EnvironmentProblem(_explain(lines, what=what, log=log))


def _explain(lines: Sequence[str], *, what: str, log: Path) -> str:
    text = "\n".join(lines).lower()
    details = f"(details: {log.relative_to(ROOT)})"
    if "no space left" in text:
        return f"The disk is full, so {what} could not be prepared: free 1 GB and run the command again {details}."
    if any(sign in text for sign in _UNREACHABLE):
        return (
            f"The package registry could not be reached, so {what} could not be prepared: "
            f"check the network or the proxy settings and run the command again {details}."
        )
    last = next((line for line in reversed(lines) if line), "no output").rstrip(".")
    return f"Preparing {what} failed ({last}): put that right and run the command again {details}."


def digest(*parts: bytes) -> str:
    """A name for all of ``parts`` together: 64 hex digits."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()


def say(line: str) -> None:
    """Tell people how it goes; standard output belongs to what was asked for."""
    print(line, file=sys.stderr, flush=True)
