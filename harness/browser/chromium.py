"""Finds a Chromium that runs, or installs one.

In this order: the one that HARNESS_CHROMIUM names, the system's, Playwright's own. Where there is none: apt's for
root, then Playwright's installer.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import NoBrowser
from harness.folders import Folders, private_folder
from harness.locks import holding

VARIABLE = "HARNESS_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
APPLICATIONS = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)
# Below the folder of Playwright's browsers, newest version last.
PLAYWRIGHTS = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
PROOF_WITHIN = 20.0
"""Seconds for `--version`; the first start after an installation reads much from the disk."""
APT_WITHIN = 300.0
PLAYWRIGHT_WITHIN = 20.0
"""Seconds for Playwright's installer, which is of no use where its download server can't be reached."""
APT_OPTIONS = ("-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")
HINT = (
    "Install one: `apt-get install chromium` on Debian, `brew install --cask chromium` on macOS, anywhere"
    f" `.venv/bin/python -m playwright install chromium`; or name one: {VARIABLE}=/path/to/chromium."
)

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Chromium:
    """A browser that answered: where it is, its version, how it was come by."""

    path: Path
    version: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where to look and what to install with; the defaults are this machine's."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: bool = field(default_factory=lambda: os.geteuid() == 0)
    applications: tuple[Path, ...] = APPLICATIONS
    installer: tuple[str, ...] = (sys.executable, "-m", "playwright", "install", "chromium")
    cache: Path = field(default_factory=lambda: Folders.of_checkout().cache)

    @property
    def playwrights(self) -> Path:
        """The folder that Playwright keeps its browsers in."""
        named = self.environ.get("PLAYWRIGHT_BROWSERS_PATH")
        if named and named != "0":
            return Path(named)
        home = Path(self.environ.get("HOME") or "/nonexistent")
        return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "ms-playwright"

    def which(self, name: str) -> str | None:
        """A program on the PATH."""
        return shutil.which(name, path=self.environ.get("PATH", os.defpath))


def find_chromium(places: Places | None = None) -> Chromium | None:
    """A Chromium that runs, or None; installs nothing.

    Raises:
        NoBrowser: HARNESS_CHROMIUM names one that does not run. Another one in its place would be a surprise.
    """
    places = places or Places()
    if named := places.environ.get(VARIABLE):
        found = _proven(Path(named), VARIABLE, places)
        if found is None:
            raise NoBrowser(
                f"{VARIABLE} names {named}, which does not answer to --version.",
                hint=f"Name a Chromium that runs, or unset {VARIABLE}.",
            )
        return found
    return next((found for path, source in _candidates(places) if (found := _proven(path, source, places))), None)


def ensure_chromium(say: Say = lambda _sentence: None, places: Places | None = None) -> Chromium:
    """A Chromium that runs, installed if there is none; `say` is told before something lasts.

    Raises:
        NoBrowser: there is none, and none could be installed.
    """
    places = places or Places()
    if found := find_chromium(places):
        return found
    with holding(private_folder(places.cache, mode=0o755) / "chromium.lock"):
        # Whoever held the lock may have installed one.
        if found := find_chromium(places):
            return found
        tried: list[str] = []
        for name, steps, within in _installers(places):
            say(f"No Chromium here: installing one with {name} (at most {within:.0f} s)...")
            trouble = _installed(steps, within, places)
            found = find_chromium(places)
            if found:
                return Chromium(path=found.path, version=found.version, source=name)
            tried.append(f"{name}: {trouble or 'what it installed does not run'}")
    attempts = f" and could not be installed ({'; '.join(tried)})" if tried else ""
    raise NoBrowser(f"No Chromium was found{attempts}.", hint=HINT)


def _candidates(places: Places) -> Iterator[tuple[Path, str]]:
    for name in NAMES:
        if found := places.which(name):
            yield Path(found), "system"
    for path in places.applications:
        if path.exists():
            yield path, "system"
    for pattern in PLAYWRIGHTS:
        for path in sorted(places.playwrights.glob(pattern), reverse=True):
            yield path, "playwright"


def _proven(path: Path, source: str, places: Places) -> Chromium | None:
    """The browser at `path` if it says its version; stand-ins that only tell how to install one do not."""
    try:
        done = subprocess.run(
            [str(path), "--version"],
            env=dict(places.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROOF_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\d+(\.\d+)+", done.stdout)
    if done.returncode != 0 or version is None:
        return None
    return Chromium(path=path, version=version.group(), source=source)


def _installers(places: Places) -> Iterator[tuple[str, list[tuple[str, ...]], float]]:
    """Name, commands and time limit in seconds of each way to install one here."""
    if places.root and (apt := places.which("apt-get")):
        update = (apt, *APT_OPTIONS, "update")
        install = (apt, *APT_OPTIONS, "install", "-y", "--no-install-recommends", "chromium")
        yield "apt-get", [update, install], APT_WITHIN
    yield "playwright", [places.installer], PLAYWRIGHT_WITHIN


def _installed(steps: list[tuple[str, ...]], within: float, places: Places) -> str | None:
    """Run the steps of one installer; None if all went well, else what went wrong."""
    for step in steps:
        with tempfile.TemporaryFile() as output:
            environment = {**places.environ, "DEBIAN_FRONTEND": "noninteractive"}
            try:
                process = subprocess.Popen(
                    step,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # A group of its own, so that what it starts ends with it.
                    start_new_session=True,
                )
            except OSError as error:
                return str(error)
            try:
                code = process.wait(within)
            except subprocess.TimeoutExpired:
                return f"not done within {within:g} s"
            finally:
                _end(process)
            if code != 0:
                output.seek(0)
                lines = output.read().decode(errors="replace").strip().splitlines()
                return lines[-1].strip() if lines else f"exit code {code}"
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
