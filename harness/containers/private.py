"""An engine of our own for machines where none answers: Debian's, started beside everything, gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil

from harness import locks
from harness.containers.engine import Engine, client, find_engine
from harness.containers.network import Network
from harness.errors import EngineMissing, HarnessError, SourceUnusable
from harness.folders import private_folder, write_private
from harness.signals import held_back
from harness.stack.explain import tail

_PLACES = Path("/var/tmp")
_PREFIX = "tims-stack-engine-"
_PACKAGES = ("docker.io", "iptables", "iproute2")
_POLICY = Path("/usr/sbin/policy-rc.d")
_INSTALLED_WITHIN = 300.0
_STARTED_WITHIN = 30.0
_ENDED_WITHIN = 15.0
_PAUSE = 0.05
_LOCK = "engine.lock"


@contextmanager
def engine(cache: Path, tell: Callable[[str], object]) -> Generator[tuple[Engine, bool]]:
    """The engine that answers, else a private one for as long as the block lasts; and whether it is private.

    What a private one changes on the machine is put back at the end, also after an error and Ctrl-C; what one that
    was killed has left is put back first. Raises EngineMissing.
    """
    cache.mkdir(parents=True, exist_ok=True)
    lock = locks.take(cache / _LOCK)
    if lock is not None:
        # Nobody has one now, so what is written down is of one that was killed.
        try:
            _undo(cache, tell)
        finally:
            os.close(lock)
    try:
        found = find_engine()
    except SourceUnusable as error:
        missing = error
    else:
        tell(f"{found}.")
        yield found, False
        return
    _refuse_without_means(missing)
    # Until the end: what two engines of our own put back would not be what was there.
    if locks.is_held(cache / _LOCK):
        tell("Another command has an engine of its own here; waiting for its end...")
    with locks.holding(cache / _LOCK):
        program = _program(tell)
        try:
            yield _start(program, cache, tell), True
        finally:
            with held_back():
                _undo(cache, tell)


def _refuse_without_means(missing: SourceUnusable) -> None:
    if os.environ.get("DOCKER_HOST"):
        raise EngineMissing(str(missing), hint="Start that engine, or unset DOCKER_HOST.") from missing
    if os.geteuid() != 0 or not Path("/proc/sys/net").exists():
        raise EngineMissing(
            f"{missing} Only root on Linux can start one.", hint="Start Docker, or run this as root."
        ) from missing


def _program(tell: Callable[[str], object]) -> str:
    """The engine's program; installed if it is not there."""
    tools = ("dockerd", "iptables", "ip")
    if all(map(shutil.which, tools)):
        return str(shutil.which("dockerd"))
    if not shutil.which("apt-get"):
        raise EngineMissing("No container engine is installed here, and there is no apt-get.", hint="Install Docker.")
    tell(f"Installing {', '.join(_PACKAGES)}...")
    install = ("install", "--yes", "--no-install-recommends", *_PACKAGES)
    with _services_not_started():
        # What is known of the packages may be old, or nothing.
        done = _apt(*install) if _apt(*install, "--simulate").returncode == 0 else None
        if done is None or done.returncode:
            _apt("update")
            done = _apt(*install)
    program = shutil.which("dockerd")
    if done.returncode or not program:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise EngineMissing(
            f"Debian's container engine could not be installed: {last[0]}",
            hint=f"Try it by hand: apt-get install {' '.join(_PACKAGES)}",
        )
    return program


def _apt(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(
            ["apt-get", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALLED_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineMissing(
            f"apt-get {arguments[0]} has not ended within {_INSTALLED_WITHIN:g} s.", hint="Look at the network."
        ) from error


@contextmanager
def _services_not_started() -> Generator[None]:
    """Keep apt from starting what it installs as a service of the machine."""
    if _POLICY.exists():
        yield
        return
    try:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def _start(program: str, cache: Path, tell: Callable[[str], object]) -> Engine:
    began = time.monotonic()
    folder = private_folder(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PLACES)))
    before = Network.now()
    # On the disk before anything is changed: whoever comes next can put it back.
    write_private(_state(cache), json.dumps({"folder": str(folder), "network": asdict(before)}))
    address = f"unix://{folder}/docker.sock"
    log = folder / "log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                program,
                *("--data-root", f"{folder}/data"),
                *("--exec-root", f"{folder}/exec"),
                *("--pidfile", f"{folder}/pid"),
                *("--host", address),
                # A published port is a rule of the kernel then, and no process that accepts before the server does.
                "--userland-proxy=false",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            # A Ctrl-C in the terminal is for us, who then end it in order.
            start_new_session=True,
        )
    deadline = time.monotonic() + _STARTED_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        if Path(f"{folder}/docker.sock").exists():
            with contextlib.suppress(SourceUnusable):
                found = find_engine({**os.environ, "DOCKER_HOST": address})
                tell(f"Started {found.name} {found.version} of our own in {time.monotonic() - began:.1f} s.")
                return found
        time.sleep(_PAUSE)
    lines = tail(log, 3) or ("no output",)
    raise EngineMissing(f"The container engine did not start: {' '.join(lines)}", hint="Start Docker yourself.")


def _undo(cache: Path, tell: Callable[[str], object]) -> None:
    """End the private engine that is written down, if one is, and put back what it changed."""
    state = _state(cache)
    if not state.exists():
        return
    written = json.loads(state.read_text(encoding="utf-8"))
    folder = Path(written["folder"])
    _remove_all(f"unix://{folder}/docker.sock")
    _end_processes(folder)
    Network(**{**written["network"], "links": tuple(written["network"]["links"])}).restore()
    for mounted in _mounts_below(folder):
        subprocess.run(["umount", "--lazy", mounted], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    state.unlink()
    tell("Ended the engine of our own and put back what it had changed.")


def _remove_all(address: str) -> None:
    """Remove every container of an engine that is ours alone, so that ending it is quick."""
    from docker.errors import APIError

    if not Path(address.removeprefix("unix://")).exists():
        return
    with contextlib.suppress(HarnessError), client(address, timeout=_ENDED_WITHIN) as asked:
        for container in asked.containers.list(all=True, ignore_removed=True):
            with contextlib.suppress(APIError):
                container.remove(force=True, v=True)


def _end_processes(folder: Path) -> None:
    """End the engine and all that it started; they are found by the folder that each was told to work in."""
    alive = _processes(folder)
    for process in alive:
        # The engine ends the others itself.
        if f"{folder}/pid" in _command(process):
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGTERM)
    psutil.wait_procs(alive, timeout=_ENDED_WITHIN)
    for process in _processes(folder):
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(_processes(folder), timeout=5.0)


def _processes(folder: Path) -> list[psutil.Process]:
    # With what follows the folder's name: ours are told paths below it.
    return [process for process in psutil.process_iter() if any(f"{folder}/" in part for part in _command(process))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline()) if process.status() != psutil.STATUS_ZOMBIE else []
    except (psutil.Error, OSError):
        return []


def _mounts_below(folder: Path) -> list[str]:
    """Deepest first."""
    places = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return sorted((place for place in places if Path(place).is_relative_to(folder)), reverse=True)


def _state(cache: Path) -> Path:
    return cache / "engine.json"
