"""Where the harness keeps things, all of it below the checkout unless the environment says otherwise."""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DiskFull, HarnessError, PlaceUnusable

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Folders:
    """``root``: the checkout; ``runs``: a folder for each; ``data``: survives down; ``cache``: rebuilt."""

    root: Path
    runs: Path
    data: Path
    cache: Path

    @classmethod
    def of_checkout(cls) -> Folders:
        """The folders of this checkout; HARNESS_RUNS, HARNESS_DATA and HARNESS_CACHE move single ones."""

        def folder(variable: str, default: str) -> Path:
            return Path(os.environ.get(variable) or CHECKOUT / default).absolute()

        return cls(
            root=CHECKOUT,
            runs=folder("HARNESS_RUNS", "runs"),
            data=folder("HARNESS_DATA", ".data"),
            cache=folder("HARNESS_CACHE", ".cache"),
        )

    @property
    def up_lock(self) -> Path:
        """Held with flock by the supervisor of ``up``; its content is the id of that run."""
        return self.runs / "up.lock"

    @property
    def start_lock(self) -> Path:
        """Held by whoever sweeps up or makes a run folder, so that nobody meets a run that is half made."""
        return self.runs / "start.lock"


def is_full(error: OSError) -> bool:
    """Whether a disk or a quota has no room left."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def place_trouble(error: OSError, *, writing_below: Path | None = None) -> HarnessError | None:
    """The sentence for an error that names a path: DiskFull or PlaceUnusable; None for any other error.

    ``writing_below`` is told where a full disk does not say which path it was.
    """
    if is_full(error):
        place = error.filename or writing_below
        where = f" while writing below {place}" if place else ""
        return DiskFull(f"No space left on device{where}.", hint="Free some space, then try again.")
    if not isinstance(error.filename, str | os.PathLike):
        return None
    path = Path(error.filename)
    return PlaceUnusable(
        f"{path} cannot be used: {error.strerror}{_owner(path)}.",
        hint="Make it yours (chown), or set HARNESS_RUNS, HARNESS_DATA or HARNESS_CACHE to a folder of your own.",
    )


def _owner(path: Path) -> str:
    """Whose the nearest thing at or above ``path`` is that can be looked at, if not ours."""
    for place in (path, *path.parents):
        try:
            uid = place.stat().st_uid
        except OSError:
            continue
        return "" if uid == os.geteuid() else f" ({place} belongs to {account_name(uid)})"
    return ""


def account_name(uid: int) -> str:
    """The name of an account of this machine, or its number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def private_folder(path: Path, *, mode: int = 0o700) -> Path:
    """Make ``path`` (and parents) with exactly ``mode``, whatever the umask is."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    # The process id keeps two writers of one file from sharing a half-written draft.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def digest(text: str) -> str:
    """A short stable name for ``text``: 12 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
