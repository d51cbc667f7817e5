"""What is said of builds and Node.js: by the command, by a start, and when one is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from harness.cli.group import complain, harness
from harness.errors import BuildFailed, NodeMissing
from harness.frontend.node import find_node
from harness.stack import StackOptions, start_stack
from harness.tests.fake_frontend import ALL, Checkout
from harness.tests.helpers import carriers, run_folder


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path / "checkout", tmp_path / "tools")
    monkeypatch.setenv("HARNESS_NODE", str(made.tools / "node"))
    return made


@pytest.fixture
def command(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    """Runs ``harness build`` on the test's checkout; gives standard output and error."""
    monkeypatch.setattr("harness.folders.CHECKOUT", checkout.folders.root)
    for name in ("HARNESS_CACHE", "HARNESS_RUNS", "HARNESS_DATA"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[str, str]:
        harness.main(args=["build", *arguments], prog_name="harness", standalone_mode=False)
        said = capsys.readouterr()
        return said.out, said.err

    return run


def test_the_command_says_where_the_build_lies(checkout: Checkout, command: Callable[..., tuple[str, str]]) -> None:
    out, err = command("--json")
    assert "Building the front end" in err
    made = json.loads(out)
    assert checkout.asked() == ALL
    assert made["made"] is True
    out, err = command("--json")
    found = json.loads(out)
    assert (found["path"], found["digest"], found["made"]) == (made["path"], made["digest"], False)
    assert err == ""
    assert checkout.asked() == []
    out, _ = command()
    assert out == f"{made['path']}\n"
    command("--force")
    assert checkout.asked() == ["renderer", "web"]


def test_the_command_installs_packages_alone(checkout: Checkout, command: Callable[..., tuple[str, str]]) -> None:
    command("--packages")
    assert checkout.asked() == ["npm"]
    with pytest.raises(click.UsageError):
        command("--packages", "--json")


def test_a_start_that_wants_pages_builds_them_and_says_so(checkout: Checkout) -> None:
    checkout.trouble("web", "sys.exit('page.tsx:3 is wrong')")
    told: list[str] = []
    options = StackOptions(services="embedded", resources=frozenset({"renderer"}))
    with pytest.raises(BuildFailed) as caught:
        start_stack(options, folders=checkout.folders, on_progress=lambda progress: told.append(progress.sentence))
    assert caught.value.lines == ("page.tsx:3 is wrong",)
    assert any(sentence.startswith("Building the front end") for sentence in told)
    assert not carriers(run_folder(checkout.folders).name)


def test_people_see_the_last_lines_before_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    complain(BuildFailed("The front end could not be built.", hint="See the log.", lines=("page.tsx:3 is wrong",)))
    assert capsys.readouterr().err.splitlines() == [
        "last lines of the build:",
        "  page.tsx:3 is wrong",
        "The front end could not be built.",
        "See the log.",
    ]


@pytest.fixture
def no_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("HARNESS_NODE", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    return empty


def test_without_node_there_is_a_command_to_type(checkout: Checkout, no_node: Path) -> None:
    with pytest.raises(NodeMissing) as caught:
        checkout.build()
    assert "noxfile.py -s build" in caught.value.hint


def test_node_comes_from_path_if_it_is_new_enough_else_from_the_cache(checkout: Checkout, no_node: Path) -> None:
    current = checkout.folders.root / ".cache" / "node-current" / "bin"
    current.mkdir(parents=True)
    for name in ("node", "npm"):
        (current / name).symlink_to(checkout.tools / name)
        (no_node / name).write_text((checkout.tools / name).read_text().replace("version", "old"))
        (no_node / name).chmod(0o700)
    (checkout.tools / "old").write_text("20.19.0")
    node = find_node(checkout.folders.root)
    assert (node.version, node.npm) == ("24.1.0", current / "npm")
    # Never the link or script in front of it.
    assert node.binary == checkout.tools / "node"


def test_a_node_that_was_named_is_not_replaced_by_another(
    checkout: Checkout, no_node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no_node / "node").symlink_to(checkout.tools / "node")
    (no_node / "npm").symlink_to(checkout.tools / "npm")
    assert find_node(checkout.folders.root).version == "24.1.0"
    monkeypatch.setenv("HARNESS_NODE", str(no_node / "nowhere"))
    with pytest.raises(NodeMissing, match="HARNESS_NODE names"):
        find_node(checkout.folders.root)
