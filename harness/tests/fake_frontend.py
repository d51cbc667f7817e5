"""A checkout whose front end is one page, with small fakes for Node.js, npm and Next.js."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness.folders import Folders
from harness.frontend.build import Build, ensure_build

# Node.js, npm and, as what Node.js is given to run, Next.js: does what a file beside it says.
TOOL = """\
#!{python}
import json, os, pathlib, shutil, subprocess, sys, time

place = pathlib.Path({place!r})
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
if arguments[:1] == ["-p"]:
    print(json.dumps([str(place / "node"), (place / "version").read_text()]))
    sys.exit()
step = "npm" if name == "npm" else os.environ.get("BUILD_TARGET", "renderer")
with open(place / "journal", "a") as journal:
    print(json.dumps([step, dict(os.environ)]), file=journal)
trouble = place / f"{{step}}.trouble"
if trouble.exists():
    exec(trouble.read_text())
if step == "npm":
    shutil.rmtree("node_modules", ignore_errors=True)
    os.makedirs("node_modules/next")
    sys.exit()
page = pathlib.Path("src/page.tsx").read_text()
shutil.rmtree(".next", ignore_errors=True)
if step == "renderer":
    os.makedirs(".next/standalone/.next")
    os.makedirs(".next/static")
    pathlib.Path(".next/standalone/server.js").write_text(page)
    pathlib.Path(".next/static/page.js").write_text(page)
else:
    os.makedirs(".next")
    os.makedirs("out")
    pathlib.Path("out/index.html").write_text(page)
"""

ALL = ["npm", "renderer", "web"]
"""The steps of a build from nothing."""


class Checkout:
    """A checkout whose front end is one page, with tools that write down what they were asked."""

    def __init__(self, root: Path, tools: Path) -> None:
        self.folders = Folders(root=root, runs=root / "runs", data=root / "data", cache=root / ".cache")
        self.frontend = root / "frontend"
        self.tools = tools
        self.told: list[str] = []
        (self.frontend / "src" / "tests").mkdir(parents=True)
        (self.frontend / "public").mkdir()
        (self.frontend / "public" / "robots.txt").touch()
        (self.frontend / "package-lock.json").write_text("{}")
        self.page("first")
        tools.mkdir()
        (tools / "version").write_text("24.1.0")
        for name in ("node", "npm"):
            (tools / name).write_text(TOOL.format(python=sys.executable, place=str(tools)))
            (tools / name).chmod(0o700)

    def page(self, text: str) -> None:
        (self.frontend / "src" / "page.tsx").write_text(text)

    def trouble(self, step: str, program: str) -> None:
        """What a step does before its work: `npm`, `renderer` or `web`."""
        (self.tools / f"{step}.trouble").write_text(program)

    def calm(self, step: str) -> None:
        (self.tools / f"{step}.trouble").unlink()

    def build(self, *, force: bool = False) -> Build:
        return ensure_build(self.folders, on_progress=self.told.append, force=force)

    def asked(self) -> list[str]:
        """The steps since the last look."""
        return [step for step, _ in self.asked_with()]

    def asked_with(self) -> list[tuple[str, dict[str, str]]]:
        """The same with their environments."""
        journal = self.tools / "journal"
        lines = journal.read_text().splitlines() if journal.exists() else []
        journal.unlink(missing_ok=True)
        return [tuple(json.loads(line)) for line in lines]

    def kept(self) -> list[str]:
        """The folders of builds, whole or not."""
        return sorted(path.name for path in (self.folders.cache / "frontend").iterdir())
