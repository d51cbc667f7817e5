"""Builds of the front end, one for each content, made once and shared by all runs.

`.cache/frontend/<digest>/` holds `renderer/`, a Next.js server that needs no packages beside it, and `web/`, the
same pages exported as files. A folder of that name is always whole: it is made under another and renamed.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import locks
from harness.errors import BuildFailed
from harness.folders import Folders
from harness.frontend.commands import Listener, run, trouble, turn
from harness.frontend.node import Node, find_node
from harness.frontend.packages import fresh_log, install
from harness.stack.environment import bare_environment

_FAILED = "the front end could not be built"
_KEPT = 3
_TRIES = 3
_LEFT_OUT = frozenset({"node_modules", "out", "tests", "__tests__", "coverage"})
# A folder with a suffix is no build: one is not finished, the other is being removed.
_DRAFT, _REMOVED = ".making", ".removed"
_USE = ".use"
# Pages are not among them: they are made anew for each visitor, from these or by the renderer.
_COMPRESSED = frozenset({".js", ".css", ".svg", ".json", ".txt", ".webmanifest"})
_WORTH_IT = 0.95


@dataclass(frozen=True)
class Build:
    """A whole build. ``made`` says that it did not exist before."""

    path: Path
    digest: str
    made: bool = False

    @property
    def server(self) -> Path:
        """The program of the renderer, to be run by Node.js in its folder."""
        return self.path / "renderer" / "server.js"

    def use(self) -> int:
        """Keep the build from being removed; a descriptor that does so until every copy of it is closed."""
        return locks.share(self.path / _USE)


def ensure_build(folders: Folders, *, on_progress: Listener, force: bool = False) -> Build:
    """The build of the front end as it is now, made if there is none yet or with ``force``.

    Of several that want the same at once one builds. Whatever interrupts it leaves no half build.
    Raises NodeMissing, BuildFailed, DiskFull, OSError.
    """
    node = find_node(folders.root)
    if not force and (found := _existing(folders, _digest(folders, node))):
        return found
    with turn(folders.root, on_progress) as lock:
        for _ in range(_TRIES):
            digest = _digest(folders, node)
            if not force and (found := _existing(folders, digest)):
                return found
            if force and _is_used(_builds(folders) / digest):
                raise _used()
            draft = _make(folders, node, digest, lock=lock, tell=on_progress)
            # An edit meanwhile may be in it or not: then nobody could say what it is a build of.
            if _digest(folders, node) == digest:
                return _publish(folders, draft, digest)
            shutil.rmtree(draft)
            on_progress("The front end was changed meanwhile, so it is built again.")
    raise BuildFailed(
        f"The front end was changed during each of {_TRIES} builds.", hint="Try again when its files are left alone."
    )


def present_build(folders: Folders) -> Build | None:
    """The build of the front end as it is now, if there is one; changes nothing. Raises NodeMissing, OSError."""
    digest = _digest(folders, find_node(folders.root))
    path = _builds(folders) / digest
    return Build(path, digest) if path.is_dir() else None


def _builds(folders: Folders) -> Path:
    return folders.cache / "frontend"


def _existing(folders: Folders, digest: str) -> Build | None:
    path = _builds(folders) / digest
    try:
        # The newest are kept, and newest is what was used last.
        os.utime(path)
    except FileNotFoundError:
        return None
    return Build(path, digest)


def _digest(folders: Folders, node: Node) -> str:
    """A name for all that decides what comes out of a build, this file included."""
    frontend = folders.root / "frontend"
    found = hashlib.sha256(node.version.encode() + Path(__file__).read_bytes())
    for file in sorted(_sources(frontend)):
        content = file.read_bytes()
        found.update(f"\0{file.relative_to(frontend)}\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:16]


def _sources(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _LEFT_OUT or entry.name.startswith(".next"):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _sources(Path(entry.path))
            elif not _is_by_the_way(entry.name):
                yield Path(entry.path)


def _is_by_the_way(name: str) -> bool:
    """Whether a file is a test, or written by the tools themselves."""
    return ".test." in name or name == "next-env.d.ts" or name.endswith((".tsbuildinfo", ".log"))


def _make(folders: Folders, node: Node, digest: str, *, lock: int, tell: Listener) -> Path:
    """Build into a folder beside the final one and return it."""
    builds = _builds(folders)
    builds.mkdir(parents=True, exist_ok=True)
    for leftover in [*builds.glob(f"*{_DRAFT}"), *builds.glob(f"*{_REMOVED}")]:
        shutil.rmtree(leftover)
    install(folders, node, lock=lock, tell=tell)
    tell("Building the front end (once per change)...")
    began = time.monotonic()
    draft = builds / f"{digest}{_DRAFT}"
    log = fresh_log(folders, "frontend-build")
    frontend = folders.root / "frontend"
    try:
        draft.mkdir()
        # In this order: the export empties the folder that the other build has left.
        _next_build(frontend, node, {}, log=log, lock=lock, began=began, tell=tell)
        standalone = _result(frontend / ".next" / "standalone", "server.js", log=log)
        shutil.move(standalone, draft / "renderer")
        shutil.copytree(frontend / ".next" / "static", draft / "renderer" / ".next" / "static")
        if (frontend / "public").is_dir():
            shutil.copytree(frontend / "public", draft / "renderer" / "public", dirs_exist_ok=True)
        shutil.rmtree(frontend / "out", ignore_errors=True)
        _next_build(frontend, node, {"BUILD_TARGET": "web"}, log=log, lock=lock, began=began, tell=tell)
        shutil.move(_result(frontend / "out", "index.html", log=log), draft / "web")
        for tree in (draft / "renderer" / ".next" / "static", draft / "web"):
            _compress(tree)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(error, shutil.Error):
            # Copying goes on to the last file and then tells of all that failed, in words.
            raise trouble((str(error.args[0][0][2]),), log=log, failed=_FAILED) from error
        raise
    tell(f"Built the front end in {time.monotonic() - began:.0f} s.")
    return draft


def _next_build(
    frontend: Path, node: Node, target: dict[str, str], *, log: Path, lock: int, began: float, tell: Listener
) -> None:
    run(
        [str(node.binary), "node_modules/next/dist/bin/next", "build"],
        directory=frontend,
        # What happens to be set in a shell (NEXT_PUBLIC_..., NODE_OPTIONS) must not get into a build that is shared.
        environment=bare_environment({"PATH": node.path(), "NEXT_TELEMETRY_DISABLED": "1", **target}),
        log=log,
        lock=lock,
        failed=_FAILED,
        began=began,
        tell=tell,
    )


def _compress(tree: Path) -> None:
    """Put a compressed copy beside every file that is served as it is and is smaller so."""
    for file in tree.rglob("*"):
        if file.suffix in _COMPRESSED and file.is_file():
            content = file.read_bytes()
            packed = gzip.compress(content, mtime=0)
            if len(packed) < len(content) * _WORTH_IT:
                file.with_name(f"{file.name}.gz").write_bytes(packed)


def _result(folder: Path, file: str, *, log: Path) -> Path:
    if not (folder / file).is_file():
        raise BuildFailed(
            f"The front end's build left no {file} in {folder}.", hint=f"All that was said stands in {log}"
        )
    return folder


def _publish(folders: Folders, draft: Path, digest: str) -> Build:
    final = _builds(folders) / digest
    if final.exists() and not _remove(final):
        shutil.rmtree(draft)
        raise _used()
    draft.rename(final)
    _tidy(folders)
    return Build(final, digest, made=True)


def _used() -> BuildFailed:
    return BuildFailed(
        "This build is used by a stack that runs, so it can not be replaced.", hint="End it with: harness down"
    )


def _tidy(folders: Folders) -> None:
    """Keep the builds that were used last, and those that a run uses."""
    builds = [path for path in _builds(folders).iterdir() if path.is_dir() and not path.suffix]
    for path in sorted(builds, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        _remove(path)


def _is_used(build: Path) -> bool:
    if not build.exists():
        return False
    lock = locks.take_unused(build / _USE)
    if lock is None:
        return True
    os.close(lock)
    return False


def _remove(build: Path) -> bool:
    """Remove a build unless a run uses it; whether it is gone."""
    lock = locks.take_unused(build / _USE)
    if lock is None:
        return False
    try:
        # Under another name first: an interruption must not leave half of it under this one.
        leftover = build.with_name(f"{build.name}{_REMOVED}")
        build.rename(leftover)
        shutil.rmtree(leftover, ignore_errors=True)
    finally:
        os.close(lock)
    return True
