"""The lock files in `requirements/`, signed with what they were compiled from, so that drift shows.

`python -m tools.locks` checks them and that of npm, prints a line for each fault and exits with 1 if there is any.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

from tools import packages

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("stack", "dev", "nox", "node")
_SIGNATURE = "# compiled from: sha256:"
# A lock file is for every registry and mirror: it names none.
_FORBIDDEN = ("://", "--index-url", "--extra-index-url", "--find-links")


def lock_file(group: str, *, root: Path = ROOT) -> Path:
    """Where the lock file of a dependency group lies."""
    return root / "requirements" / f"{group}.txt"


def sign(group: str, *, root: Path = ROOT) -> None:
    """Write into a freshly compiled lock file what it was compiled from."""
    path = lock_file(group, root=root)
    lines = [line for line in path.read_text().splitlines() if not line.startswith(_SIGNATURE)]
    head = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    lines.insert(head, _SIGNATURE + _source_digest(group, root=root))
    path.write_text("\n".join(lines) + "\n")


def faults(*, root: Path = ROOT) -> Iterator[str]:
    """Yield a sentence for each lock file that is missing, stale or names a registry."""
    for group in GROUPS:
        path = lock_file(group, root=root)
        name = path.relative_to(root)
        if not path.exists():
            yield f"{name} is missing: run `nox -s lock`."
            continue
        lines = path.read_text().splitlines()
        if _SIGNATURE + _source_digest(group, root=root) not in lines:
            yield f"{name} is out of step with pyproject.toml: run `nox -s lock`."
        for number, line in enumerate(lines, start=1):
            if any(word in line for word in _FORBIDDEN):
                yield f"{name}:{number} names a URL or registry: depend on plain names and run `nox -s lock`."


def _source_digest(group: str, *, root: Path) -> str:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    source = [
        project["project"]["requires-python"],
        sorted(_requirements(project["dependency-groups"], group)),
    ]
    return hashlib.sha256(json.dumps(source).encode()).hexdigest()


def _requirements(groups: Mapping[str, list[Any]], name: str) -> Iterator[str]:
    for item in groups[name]:
        if isinstance(item, str):
            yield item
        else:
            yield from _requirements(groups, item["include-group"])


def main() -> int:
    """Print the faults of all lock files; the exit code says whether there are any."""
    found = [*faults(), *packages.faults()]
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
