"""``harness report``."""

from __future__ import annotations

import json
import sys
import webbrowser
from pathlib import Path

import pytest

from harness.cli.report import report
from harness.errors import NotRunning
from harness.folders import Folders
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
