"""Who runs the embedded servers, and where that account can reach.

Postgres refuses to run as root. Root therefore hands the servers to ``postgres`` or ``nobody``; what that
account cannot reach (a checkout below a private home folder) is kept below /var/tmp instead.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import locks
from harness.errors import DataUnusable, SourceUnusable
from harness.folders import digest

_ROOM_WANTED = 1 << 30


@dataclass(frozen=True)
class Account:
    """An account of this machine."""

    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """Keyword arguments that make ``subprocess`` run a command as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def become(self) -> None:
        """Turn this very process into one of the account's, for good."""
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)


def server_account() -> Account | None:
    """The account for the servers if we are root; None means: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise SourceUnusable(
        "Postgres does not run as root and this machine has neither a postgres nor a nobody account.",
        hint="Run the harness as an ordinary user, or set DATABASE_URL.",
    )


def reachable(path: Path, account: Account | None) -> bool:
    """Whether the account can pass through, or execute, the existing ``path``."""
    # The system is asked, as mode bits are not all that decides.
    if account is None:
        return True
    asked = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)], cwd="/", check=False, **account.options()
    )
    return asked.returncode == 0


def owned_folder(path: Path, *, mode: int) -> Path:
    """Make a folder in a place that others write to as well; refuses one that somebody else put there."""
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise DataUnusable(f"{path} exists and belongs to somebody else.", hint="Remove it, or ask its owner to.")
    path.chmod(mode)
    return path


def relocation(root: Path) -> Path:
    """Where copies for the checkout ``root`` go when the servers' account cannot reach the originals."""
    return owned_folder(_moved(root), mode=0o711)


def usable_folder(path: Path, account: Account | None, *, root: Path) -> Path:
    """``path`` made, or its stand-in below ``relocation(root)`` if the account cannot reach it."""
    # Others may pass through, not look around: the servers' own folders below are theirs alone.
    mode = 0o700 if account is None else 0o711
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if reachable(path, account):
        return path
    return owned_folder(relocation(root) / f"{path.name.lstrip('.')}-{digest(str(path))}", mode=mode)


def usable_copy(source: Path, executable: str, account: Account | None, *, root: Path, version: str) -> Path:
    """The folder ``source``, or a copy of it that the account can reach. ``executable`` is a file in it."""
    if reachable(source / executable, account):
        return source
    target = relocation(root) / "binaries" / f"{source.name}-{version}"
    target.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    with locks.holding(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            draft = Path(tempfile.mkdtemp(dir=target.parent))
            try:
                shutil.copytree(source, draft / source.name, symlinks=True)
                libraries = source.with_name(f"{source.name}.libs")
                if libraries.exists():
                    # The programs look for their libraries in this folder beside their own.
                    shutil.copytree(libraries, draft / libraries.name, symlinks=True)
                draft.chmod(0o711)
                draft.rename(target)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
    return target / source.name


def throwaway_folder(run: str, account: Account | None, *, root: Path) -> Path:
    """Where the data of a run goes that keeps none: memory if there is enough, else the temporary folder."""
    name = f"tims-stack-{run}"
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK | os.X_OK) and shutil.disk_usage(memory).free >= _ROOM_WANTED:
        return memory / name
    temporary = Path(tempfile.gettempdir())
    return (temporary if reachable(temporary, account) else relocation(root)) / name


def throwaway_places(root: Path) -> tuple[Path, ...]:
    """Every folder in which ``throwaway_folder`` may have put something for this checkout."""
    return tuple({Path("/dev/shm"), Path(tempfile.gettempdir()), _moved(root)})


def _moved(root: Path) -> Path:
    return Path("/var/tmp") / f"tims-stack-{digest(str(root))}"
