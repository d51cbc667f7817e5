"""``harness report``."""

from __future__ import annotations

import json
import os
import shutil
import sys
import webbrowser
from pathlib import Path

import click
import pytest

from harness import locks
from harness.cli.report import report
from harness.errors import NotRunning
from harness.folders import Folders
from harness.stack.sweep import LOCK
from harness.tests.conftest import folders_below

OLD, NEW, EMPTY = "20260101-120000-abcdef", "20260102-120000-abcdef", "20260103-120000-abcdef"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folders = folders_below(tmp_path)
    monkeypatch.setattr(Folders, "of_checkout", lambda: folders)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for name in (NEW, OLD, EMPTY):
        (folders.runs / name).mkdir(parents=True)
        if name != EMPTY:
            (folders.runs / name / "report.html").write_text("")
    return folders.runs


def test_the_newest_report_is_named(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.main([], standalone_mode=False)
    assert capsys.readouterr().out == f"{runs / NEW / 'report.html'}\n"


def test_a_run_can_be_chosen_and_told_to_a_machine(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.main(["--run", OLD, "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == {
        "run": OLD,
        "html": str(runs / OLD / "report.html"),
        "json": str(runs / OLD / "report.json"),
        "junit": str(runs / OLD / "junit.xml"),
    }


@pytest.mark.parametrize(
    ("run", "complaint"),
    [
        (EMPTY, "nothing was played in it"),
        ("nonsense", "There is no run nonsense"),
        (f"../runs/{OLD}", "There is no run"),
    ],
)
def test_a_report_that_is_not_there_is_explained(runs: Path, run: str, complaint: str) -> None:
    with pytest.raises(NotRunning, match=complaint):
        report.main(["--run", run], standalone_mode=False)


def test_no_report_at_all_is_explained(runs: Path) -> None:
    for name in (OLD, NEW):
        (runs / name / "report.html").unlink()
    with pytest.raises(NotRunning, match="No run in this checkout has a report") as caught:
        report.main([], standalone_mode=False)
    assert "harness scenario" in caught.value.hint


def test_it_is_opened_where_there_is_a_display(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []

    def open_it(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(webbrowser, "open", open_it)
    report.main(["--open"], standalone_mode=False)
    assert opened == []
    assert "open the file yourself" in capsys.readouterr().err
    monkeypatch.setenv("DISPLAY", ":0")
    report.main(["--open"], standalone_mode=False)
    assert opened == [(runs / NEW / "report.html").as_uri()]
    assert capsys.readouterr().err == ""


def a_report(folder: Path, *failed: bool, skipped: int = 0) -> None:
    plays: list[dict[str, object]] = [{"failure": {} if one else None, "skipped": None} for one in failed]
    plays += [{"failure": None, "skipped": "why"}] * skipped
    content = {"passed": bool(failed) and not any(failed), "scenarios": plays}
    (folder / "report.json").write_text(json.dumps(content))


def test_runs_are_listed_newest_first(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_report(runs / OLD, False, True, skipped=1)
    a_report(runs / NEW, False)
    (runs / NEW / "state.json").write_text('{"kind": "up"}')
    (runs / NEW / "logs").mkdir()
    (runs / NEW / "logs" / "a.log").write_text("x" * 5_000_000)
    (runs / "start.lock").touch()
    report.main(["--list", "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert [one["run"] for one in told] == [EMPTY, NEW, OLD]
    assert [(one["verdict"], one["plays"], one["failed"], one["skipped"]) for one in told] == [
        ("not played", 0, 0, 0),
        ("passed", 1, 0, 0),
        ("failed", 3, 1, 1),
    ]
    assert [one["kind"] for one in told] == ["elsewhere", "up", "elsewhere"]
    assert told[1]["bytes"] > 5_000_000
    assert told[1]["began"].startswith("2026-01-02T12:00:00")
    report.main(["--list"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == [EMPTY, NEW, OLD]
    assert "3 (1 failed, 1 skipped)" in lines[3]
    assert lines[-1].startswith("3 runs, 5.0 MB.")


def test_a_list_of_nothing_and_a_report_that_can_not_be_read(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / NEW / "report.json").write_text("{")
    (runs / OLD / "report.json").write_text('{"passed": false, "scenarios": []}')
    report.main(["--list", "--json"], standalone_mode=False)
    verdicts = {one["run"]: one["verdict"] for one in json.loads(capsys.readouterr().out)}
    assert verdicts == {EMPTY: "not played", NEW: "unreadable", OLD: "not played"}
    for name in (OLD, NEW, EMPTY):
        shutil.rmtree(runs / name)
    report.main(["--list"], standalone_mode=False)
    assert capsys.readouterr().out == "There has been no run in this checkout.\n"


def test_old_runs_are_removed_and_living_and_killed_ones_stay(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    oldest, killed = "20250101-120000-abcdef", "20250102-120000-abcdef"
    for name in (oldest, killed):
        (runs / name).mkdir()
        (runs / name / LOCK).touch()
    (runs / OLD / "big").write_text("x" * 2_000_000)
    alive = locks.take(runs / oldest / LOCK)
    assert alive is not None
    try:
        report.main(["--list", "--json"], standalone_mode=False)
        assert [one["run"] for one in json.loads(capsys.readouterr().out) if one["alive"]] == [oldest]
        report.main(["--prune", "--keep", "1"], standalone_mode=False)
    finally:
        os.close(alive)
    assert capsys.readouterr().out == "Removed 2 runs and freed 2.0 MB; 3 runs left.\n"
    assert sorted(one.name for one in runs.iterdir() if one.is_dir()) == [oldest, killed, EMPTY]
    report.main(["--prune", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == {"removed": [], "bytes": 0, "kept": 3}
    report.main(["--prune"], standalone_mode=False)
    assert capsys.readouterr().out == "Nothing to remove: 3 runs there.\n"


@pytest.mark.parametrize("options", [["--list", "--prune"], ["--list", "--open"], ["--keep", "3"], ["--keep", "-1"]])
def test_what_does_not_fit_together_is_refused(runs: Path, options: list[str]) -> None:
    with pytest.raises(click.UsageError):
        report.main(options, standalone_mode=False)
    assert len(list(runs.iterdir())) == 3
