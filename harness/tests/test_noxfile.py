from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tools import environments, locks, results

REPOSITORY = Path(__file__).resolve().parents[2]
UV = """\
#!{python}
import os, pathlib, sys

arguments = sys.argv[1:]
with open({journal!r}, "a") as journal:
    print(*arguments[:2], file=journal)
if arguments[0] == "venv":
    made = pathlib.Path(arguments[-1])
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "python").symlink_to(sys.executable)
    (made / "pyvenv.cfg").write_text("version_info = 3.11\\n")
if arguments[:2] == ["pip", "sync"] and {failure!r}:
    print({failure!r})
    sys.exit(2)
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with what the sessions' environments are made from, and nothing made yet."""
    for name in ("noxfile.py", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    for name in ("requirements", "tools"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "CACHE", tmp_path / ".cache")
    monkeypatch.setattr(environments, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environments, "STAMP", tmp_path / ".venv" / ".prepared")
    return tmp_path


class FakeUv:
    """Stands in for uv: makes a folder that looks like an environment and writes down what it was asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.journal = folder / "uv.journal"
        self.program = folder / "uv"
        self.answers("")
        monkeypatch.setattr(environments, "find_uv", lambda: str(self.program))

    def answers(self, failure: str) -> None:
        """Fail the next `pip sync` with this text; empty for success."""
        text = UV.format(python=sys.executable, journal=str(self.journal), failure=failure)
        self.program.write_text(text)
        self.program.chmod(0o700)

    def asked(self) -> list[str]:
        """The commands since the last look."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        self.journal.unlink(missing_ok=True)
        return [line.split(" --")[0].strip() for line in lines]


@pytest.fixture
def uv(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> FakeUv:
    return FakeUv(tmp_path_factory.mktemp("uv"), monkeypatch)


def test_a_second_start_does_no_work(tree: Path, uv: FakeUv) -> None:
    environments.development_environment()
    assert uv.asked() == ["venv", "pip sync", "pip install"]

    environments.development_environment()
    assert uv.asked() == []


def test_a_changed_lock_is_installed_into_the_same_environment(tree: Path, uv: FakeUv) -> None:
    environments.development_environment()
    uv.asked()
    with (tree / "requirements" / "dev.txt").open("a") as lock:
        lock.write("# changed\n")

    environments.development_environment()
    assert uv.asked() == ["pip sync", "pip install"]


def test_a_linter_setting_costs_no_installation(tree: Path, uv: FakeUv) -> None:
    environments.development_environment()
    uv.asked()
    project = tree / "pyproject.toml"
    before = project.read_text()
    changed = before.replace("line-length = 120", "line-length = 121")
    assert changed != before
    project.write_text(changed)

    environments.development_environment()
    assert uv.asked() == []


def test_a_half_made_environment_is_made_anew(tree: Path, uv: FakeUv) -> None:
    uv.answers("the disk went away")
    with pytest.raises(environments.EnvironmentProblem):
        environments.development_environment()
    litter = tree / ".venv" / "half-installed"
    litter.touch()
    uv.asked()

    uv.answers("")
    environments.development_environment()
    assert uv.asked() == ["venv", "pip sync", "pip install"]
    assert not litter.exists()


def test_an_environment_whose_python_is_gone_is_made_anew(tree: Path, uv: FakeUv) -> None:
    environments.development_environment()
    (tree / ".venv" / "bin" / "python").unlink()
    uv.asked()

    environments.development_environment()
    assert uv.asked() == ["venv", "pip sync", "pip install"]


def test_a_checkout_that_was_moved_gets_an_environment_of_its_own(
    tree: Path, uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments.development_environment()
    moved = tree.with_name("moved")
    shutil.copytree(tree, moved, symlinks=True)
    litter = moved / ".venv" / "bin" / "pytest"
    litter.write_text(f"#!{tree}/.venv/bin/python")
    for name, place in {"ROOT": "", "CACHE": ".cache", "VENV": ".venv", "STAMP": ".venv/.prepared"}.items():
        monkeypatch.setattr(environments, name, moved / place)
    uv.asked()

    environments.development_environment()
    assert uv.asked() == ["venv", "pip sync", "pip install"]
    assert not litter.exists()
    environments.development_environment()
    assert uv.asked() == []


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            "cause: tcp connect error: Connection refused (os error 111)",
            "The package registry could not be reached",
        ),
        ("error: No space left on device (os error 28)", "The disk is full"),
        ("error: hashes do not match", "Preparing .venv failed (error: hashes do not match)"),
    ],
)
def test_a_failed_installation_is_told_in_one_sentence(tree: Path, uv: FakeUv, output: str, sentence: str) -> None:
    uv.answers(output)
    with pytest.raises(environments.EnvironmentProblem) as problem:
        environments.development_environment()

    text = str(problem.value)
    assert text.startswith(sentence)
    assert "run the command again" in text
    assert "\n" not in text
    assert output in (tree / ".cache" / "logs" / "venv.log").read_text()


def test_an_unreachable_registry_stops_the_first_start_with_one_sentence(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_like_pip(folder: Path, *, lock: int) -> list[str]:
        folder.mkdir()
        return [sys.executable, "-c", "raise SystemExit('NewConnectionError: Connection refused')"]

    monkeypatch.setattr(environments, "_bare_environment", fails_like_pip)
    with pytest.raises(SystemExit) as stop:
        environments.run_nox(["-l"])

    # A text as the code is printed by Python itself, and the process ends with 1.
    assert str(stop.value.code).startswith("The package registry could not be reached, so the tools")
    assert not [path for path in (tree / ".cache").glob("nox-env-*") if path.is_dir()]


def test_the_tools_are_made_once_and_shown_whole(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def makes(folder: Path, *, lock: int) -> list[str]:
        made.append(folder)
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        return [sys.executable, "-c", ""]

    leftover = tree / ".cache" / "nox-env-0.making"
    leftover.mkdir(parents=True)
    monkeypatch.setattr(environments, "_bare_environment", makes)

    first, second = environments.nox_environment(), environments.nox_environment()
    assert first == second
    assert len(made) == 1
    assert made[0] != first
    assert [path for path in first.parent.glob("nox-env-*") if path.is_dir()] == [first]


def test_the_lock_files_are_in_step() -> None:
    assert list(locks.faults()) == []


def test_a_new_requirement_makes_its_lock_files_stale(tree: Path) -> None:
    project = tree / "pyproject.toml"
    project.write_text(project.read_text().replace("\nload = [\n", '\nload = [\n    "tomli>=2",\n'))

    assert list(locks.faults(root=tree)) == [
        "requirements/dev.txt is out of step with pyproject.toml: run `nox -s lock`."
    ]
    locks.sign("dev", root=tree)
    assert list(locks.faults(root=tree)) == []


def test_a_registry_in_a_lock_file_is_a_fault(tree: Path) -> None:
    lock = locks.lock_file("nox", root=tree)
    lock.write_text(lock.read_text() + "--index-url https://packages.example/simple\n")

    (fault,) = locks.faults(root=tree)
    assert fault.startswith("requirements/nox.txt:")
    assert "names a URL or registry" in fault


def test_skipped_tests_are_counted_and_told(tmp_path: Path) -> None:
    report = tmp_path / "tests.xml"
    suite = '<testsuites><testsuite tests="9" skipped="2" failures="1" errors="1"/></testsuites>'
    report.write_text(suite)
    counts = results.counts_of(report)
    assert counts == results.Counts(passed=5, failed=2, skipped=2)
    assert results.counts_of(tmp_path / "nothing.xml") == results.Counts(0, 0)

    parts = [results.Part("lint", results.Counts(4, 0), 1.0), results.Part("tests", counts, 2.0)]
    lines = results.table(parts).splitlines()
    assert lines[-1] == "9 passed, 2 failed, 2 skipped"
    assert lines[2].split() == ["tests", "5", "2", "2", "2.0", "s"]
    assert results.table(parts[:1]).splitlines()[-1] == "4 passed, 0 failed"
