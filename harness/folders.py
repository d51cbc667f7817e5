"""Where the harness keeps things, all of it below the checkout unless the environment says otherwise."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

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
