"""Copies of the checkout, for tests that edit code."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.folders import CHECKOUT, Folders
from harness.frontend.node import VARIABLE, find_node

_PARTS = ("harness", "stack", "frontend", "requirements", "manage.py", "pyproject.toml")
_MADE = shutil.ignore_patterns("__pycache__", "node_modules", ".next", "out", "*.pyc")
_PACKAGES = Path("frontend", "node_modules")


def copy_checkout(target: Path) -> Folders:
    """A checkout in ``target`` with the front end's packages; the cache is the one it was copied from."""
    for name in _PARTS:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=_MADE, symlinks=True)
        else:
            target.mkdir(exist_ok=True)
            shutil.copy2(source, target / name)
    # Nobody writes into the packages, so they need not be copied, but for where that is all that can be done.
    shutil.copytree(CHECKOUT / _PACKAGES, target / _PACKAGES, symlinks=True, copy_function=_link)
    return Folders(root=target, runs=target / "runs", data=target / "data", cache=CHECKOUT / ".cache")


def environment_of(folders: Folders) -> dict[str, str]:
    """What makes this environment's Python use the code of a copied checkout."""
    return {
        "PYTHONPATH": str(folders.root),
        "HARNESS_CACHE": str(folders.cache),
        VARIABLE: str(find_node(CHECKOUT).binary),
    }


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
