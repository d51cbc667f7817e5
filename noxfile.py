#!/usr/bin/env python3
"""The project's commands: `python3 noxfile.py -s NAME` needs only Python 3.11, `nox -s NAME` needs nox.

`-l` lists the sessions; without `-s` the quick ones run. What stands after `--` goes to the session's tool.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
if os.name == "nt":
    sys.exit("The tools need a POSIX system: run them in WSL, on Linux or on macOS.")
if __name__ == "__main__" and sys.version_info < (3, 11):
    sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: start it with a newer one.")
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools import environments, locks, node, packages  # noqa: E402
from tools.results import Counts, Part, counts_of, table  # noqa: E402

if __name__ == "__main__":
    environments.run_nox(sys.argv[1:])

import nox  # noqa: E402
from nox.command import CommandFailed  # noqa: E402

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"

BIN = ROOT / ".venv" / "bin"
REPORTS = ROOT / ".cache" / "reports"
TYPED = ("manage.py", "stack", "harness", "scenarios", "loadtests", "benchmarks", "tools")
# Tests in containers need an engine, so they run where one is brought, and are never skipped for want of one.
UNCONTAINED = "not containers"
QUICK = f"not heavy and {UNCONTAINED}"
# Most tests wait for other processes; each worker has a stack of its own, which is why four are enough anywhere.
IN_WORKERS = ("-n", "logical", "--maxprocesses", "4", "--dist", "loadfile")
LOAD = ("--users", "20", "--run-time", "30s")
# Importing the settings needs values, type checking reaches none of what they name.
TYPES_ENV = {
    "STACK_ENV": "test",
    "DATABASE_URL": "postgres://types@127.0.0.1:1/types",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "only-for-type-checking",
    "ALLOWED_HOSTS": "127.0.0.1",
    "APP_ORIGINS": "http://127.0.0.1:8000",
}


class Check(NamedTuple):
    """A command whose exit code says whether something holds."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str] = {}


BUILD = Check("front end", (str((BIN / "harness").relative_to(ROOT)), "build"))
# First of the checks that need what npm installs; does nothing when it is in step.
BROWSER = Check("browser", (BUILD.command[0], "browser"))
PACKAGES = Check("front end packages", (*BUILD.command, "--packages"))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, import contracts, file hygiene and that the lock files are in step."""
    _prepare(session, with_node=True)
    _report_checks(session, _lint_checks())


@nox.session
def types(session: nox.Session) -> None:
    """Check types: mypy strict with the Django plugins, TypeScript strict."""
    _prepare(session, with_node=True)
    _report_checks(session, _type_checks())


@nox.session
def unit(session: nox.Session) -> None:
    """Run the quick tests, also the front end's; with arguments only pytest, with these."""
    quick = _pytest("-m", f"not stack and {QUICK}", *session.posargs)
    if session.posargs:
        _prepare(session)
        _run(session, *quick)
        return
    _prepare(session, with_node=True)
    _report_checks(session, [Check("pytest", quick), PACKAGES, Check("vitest", _npm("test"))])


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """Run all that proves the product here; with arguments only pytest, with these."""
    _prepare(session, with_node=True)
    _prove(session, markers=QUICK)


@nox.session(default=False)
def full(session: nox.Session) -> None:
    """Run what `tests` runs, the heavy tests and those in containers; with arguments only pytest, with these."""
    _prepare(session, with_node=True)
    _prove(session, markers=UNCONTAINED, in_containers=True)


@nox.session(default=False)
def containers(session: nox.Session) -> None:
    """Prove the services in containers, with an engine of its own where none answers; arguments go to pytest."""
    _prepare(session, with_node=True)
    _run(session, *BUILD.command)
    _run(session, *_in_containers(*session.posargs))


@nox.session(default=False)
def scenarios(session: nox.Session) -> None:
    """Play the scenarios as tests; arguments go to pytest."""
    _prepare(session, with_node=True)
    _run(session, *BUILD.command)
    _run(session, *BROWSER.command)
    _run(session, *_pytest("scenarios", *session.posargs))


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Start the stack, play the scenarios before your eyes, stay up until Ctrl-C (`-- --no-hold` ends)."""
    _prepare(session, with_node=True)
    # Worth watching with browsers, worth something without.
    if "--no-eyes" not in session.posargs and not _holds(session, BROWSER):
        print("The demo goes on without browsers.", flush=True)
    _run(session, _tool("harness"), "demo", *session.posargs)


@nox.session(default=False)
def load(session: nox.Session) -> None:
    """Play the chat scenario under locust: `-- --users N --run-time T`."""
    _prepare(session, with_node=True)
    _run(session, _tool("python"), "-m", "loadtests", *LOAD, *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure beside peers, in turns: `-- ssr --json FILE`, `-- live --json FILE`."""
    _prepare(session, with_node=True)
    _run(session, _tool("python"), "-m", "benchmarks", *(session.posargs or ("--help",)))


@nox.session(default=False)
def up(session: nox.Session) -> None:
    """Start the stack and keep it up until Ctrl-C; arguments go to `harness up`."""
    _prepare(session, with_node=True)
    _run(session, _tool("harness"), "up", *session.posargs)


@nox.session(default=False)
def dev(session: nox.Session) -> None:
    """Start the stack for those who edit its code: every change shows at once. Arguments go to `harness up`."""
    _prepare(session, with_node=True)
    _run(session, _tool("harness"), "up", "--dev", *session.posargs)


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the front end, once for each content; arguments go to `harness build`."""
    _prepare(session, with_node=True)
    _run(session, _tool("harness"), "build", *session.posargs)


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Compile the lock files anew and complete npm's; `-- --upgrade` takes newer versions."""
    try:
        uv = environments.find_uv()
    except environments.EnvironmentProblem as problem:
        session.error(str(problem))
    settings = ("--universal", "--generate-hashes", "--python-version", "3.11", "--quiet")
    for group in locks.GROUPS:
        output = str(locks.lock_file(group).relative_to(ROOT))
        compiled = ("--group", group, "--output-file", output, *session.posargs)
        _run(session, uv, "pip", "compile", *settings, "--custom-compile-command", "nox -s lock", *compiled)
        locks.sign(group)
    if added := packages.complete():
        print(f"Added to frontend/package-lock.json what the registry did not serve: {', '.join(added)}.")


def _prepare(session: nox.Session, *, with_node: bool = False) -> None:
    """Have `.venv`, and Node.js if it is needed, ready and first on the PATH of what the session runs."""
    first = [BIN]
    try:
        environments.development_environment()
        if with_node and (folder := node.node_folder()):
            first.append(folder)
    except environments.EnvironmentProblem as problem:
        session.error(str(problem))
    session.env["PATH"] = os.pathsep.join([*map(str, first), os.environ.get("PATH", os.defpath)])
    session.env["VIRTUAL_ENV"] = str(BIN.parent)
    session.env["NEXT_TELEMETRY_DISABLED"] = "1"


def _tool(name: str) -> str:
    return str((BIN / name).relative_to(ROOT))


def _npm(script: str, *arguments: str) -> tuple[str, ...]:
    return ("npm", "--prefix", "frontend", "run", "--silent", script, *(("--", *arguments) if arguments else ()))


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (_tool("python"), "-m", "pytest", *arguments)


def _in_containers(*arguments: str) -> tuple[str, ...]:
    return (_tool("python"), "-m", "harness.containers", *_pytest("harness", "-m", "containers", *arguments))


def _run(session: nox.Session, *command: str, env: dict[str, str] | None = None) -> None:
    # nox itself looks on the PATH that it was started with, where there may be no npm.
    program = shutil.which(command[0], path=session.env.get("PATH")) or command[0]
    # nox gives a command 0.3 s after Ctrl-C by default, too little to take a stack down.
    session.run(program, *command[1:], env=env, external=True, interrupt_timeout=20, terminate_timeout=10)


def _holds(session: nox.Session, check: Check) -> bool:
    try:
        _run(session, *check.command, env=check.env)
    except CommandFailed:
        return False
    return True


def _lint_checks() -> list[Check]:
    checks = [
        Check("ruff check", (_tool("ruff"), "check")),
        Check("ruff format", (_tool("ruff"), "format", "--check")),
        Check("import contracts", (_tool("lint-imports"), "--cache-dir", ".cache/import-linter")),
        Check("lock files", (_tool("python"), "-m", "tools.locks")),
        PACKAGES,
        Check("front end lint", _npm("lint")),
    ]
    if (ROOT / ".git").exists():
        # The hooks that stand above as checks of the whole tree need not run twice.
        skip = {"SKIP": "ruff-check,ruff-format,import-contracts,lock-files"}
        checks.append(Check("file hygiene", (_tool("prek"), "run", "--all-files"), skip))
    else:
        print("File hygiene is not checked: this is no git checkout.")
    return checks


def _type_checks() -> list[Check]:
    # nox lives in the environment that runs this file, not in `.venv`.
    here = ("--python-executable", sys.executable, "--cache-dir", ".cache/mypy-noxfile")
    return [
        Check("mypy", (_tool("mypy"), *TYPED), TYPES_ENV),
        Check("mypy noxfile", (_tool("mypy"), "--config-file=", "--strict", *here, "noxfile.py")),
        PACKAGES,
        Check("tsc", _npm("types")),
    ]


def _report_checks(session: nox.Session, checks: list[Check]) -> None:
    """Run all checks, also after one failed, and name those that did."""
    failed = [check.name for check in checks if not _holds(session, check)]
    if failed:
        session.error(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}.")


def _prove(session: nox.Session, *, markers: str, in_containers: bool = False) -> None:
    if session.posargs:
        _run(session, *BUILD.command)
        _run(session, *BROWSER.command)
        _run(session, *_pytest("-m", markers, *session.posargs))
        return
    parts = [
        # First, as otherwise some test would have to wait for it.
        _checks_part(session, "build", [BUILD, BROWSER]),
        _checks_part(session, "lint", _lint_checks()),
        _checks_part(session, "types", _type_checks()),
        _frontend_part(session),
        _pytest_part(session, "tests", "-m", markers, *IN_WORKERS),
        _pytest_part(session, "scenarios", "scenarios", "-m", markers),
        _checks_part(session, "load", [Check("load", (_tool("python"), "-m", "loadtests", *LOAD))]),
    ]
    if in_containers:
        report = REPORTS / "containers.xml"
        parts.append(_junit_part(session, "containers", _in_containers(f"--junitxml={report}"), report))
    print(f"\n{table(parts)}\n", flush=True)
    if failed := [part.name for part in parts if part.counts.failed]:
        session.error(f"Failed: {', '.join(failed)}.")


def _headline(name: str) -> float:
    print(f"\n== {name} ==", flush=True)
    return time.monotonic()


def _checks_part(session: nox.Session, name: str, checks: list[Check]) -> Part:
    began = _headline(name)
    held = [_holds(session, check) for check in checks]
    return Part(name, Counts(held.count(True), held.count(False)), time.monotonic() - began)


def _pytest_part(session: nox.Session, name: str, *arguments: str) -> Part:
    report = REPORTS / f"{name}.xml"
    return _junit_part(session, name, _pytest(*arguments, f"--junitxml={report}"), report)


def _frontend_part(session: nox.Session) -> Part:
    report = REPORTS / "frontend.xml"
    reporters = ("--reporter=default", "--reporter=junit", f"--outputFile.junit={report}")
    return _junit_part(session, "frontend", _npm("test", *reporters), report)


def _junit_part(session: nox.Session, name: str, command: tuple[str, ...], report: Path) -> Part:
    began = _headline(name)
    report.unlink(missing_ok=True)
    held = _holds(session, Check(name, command))
    counts = counts_of(report)
    # An aborted run, or one that found nothing to run, must not look like a green one.
    if not held and not counts.failed:
        counts = counts._replace(failed=1)
    return Part(name, counts, time.monotonic() - began)
