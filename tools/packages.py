"""The front end's lock file, completed: npm leaves out optional packages that it could not look up.

A registry or a mirror that serves one system alone makes npm write a lock file that `npm ci` refuses everywhere.
What is missing is known all the same: the version from the package that wants it, the system from its name.

`python -m tools.packages` completes the lock file in place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tools.environments import ROOT

_SYSTEMS = ("aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32")
_PROCESSORS = ("arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64")
_EXACT = re.compile(r"\d+\.\d+\.\d+(-[\w.-]+)?")


def lock_file(*, root: Path = ROOT) -> Path:
    """Where npm's lock file lies."""
    return root / "frontend" / "package-lock.json"


class Missing(NamedTuple):
    """An optional package that a lock file asks for and does not hold; ``dev``: only development wants it."""

    name: str
    version: str
    dev: bool


def missing(lock: Mapping[str, Any]) -> Iterator[Missing]:
    """What a lock file lacks."""
    packages: Mapping[str, Mapping[str, Any]] = lock["packages"]
    for place, package in packages.items():
        for name, version in package.get("optionalDependencies", {}).items():
            if _EXACT.fullmatch(version) and not _holds(packages, place, name):
                yield Missing(name, version, package.get("dev", False))


def faults(*, root: Path = ROOT) -> Iterator[str]:
    """Yield a sentence for each package that is missing."""
    for one in missing(json.loads(lock_file(root=root).read_text(encoding="utf-8"))):
        yield f"frontend/package-lock.json lacks {one.name}: run `nox -s lock`."


def complete(*, root: Path = ROOT) -> list[str]:
    """Add what is missing to the lock file; the names of what was added."""
    path = lock_file(root=root)
    lock = json.loads(path.read_text(encoding="utf-8"))
    added = list(missing(lock))
    packages = lock["packages"]
    for one in added:
        packages[f"node_modules/{one.name}"] = _entry(one)
    if added:
        lock["packages"] = dict(sorted(packages.items()))
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(path)
    return sorted({one.name for one in added})


def _holds(packages: Mapping[str, Any], place: str, name: str) -> bool:
    """Whether the package at ``place`` finds ``name``, as Node.js looks for it: beside it or further up."""
    while True:
        if f"{place}/node_modules/{name}".lstrip("/") in packages:
            return True
        if not place:
            return False
        place = place.rpartition("node_modules/")[0].rstrip("/")


def _entry(one: Missing) -> dict[str, Any]:
    words = re.split(r"[/-]", one.name)
    systems = [word for word in words if word in _SYSTEMS]
    processors = [word for word in words if word in _PROCESSORS]
    return {
        "version": one.version,
        **({"cpu": processors} if processors else {}),
        **({"dev": True} if one.dev else {}),
        "optional": True,
        **({"os": systems} if systems else {}),
    }


def main() -> None:
    """Entry point."""
    for name in complete():
        print(f"frontend/package-lock.json: added {name}, which the registry did not serve.")


if __name__ == "__main__":
    main()
