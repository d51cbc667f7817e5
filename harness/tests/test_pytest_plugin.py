from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from junitparser import JUnitXml

from harness.tests.helpers import carriers

# Each is a session of pytest of its own.
pytestmark = pytest.mark.stack

STORY = """
from __future__ import annotations
from harness import Stage, scenario

@scenario("It goes well")
def good(stage: Stage) -> None:
    with stage.step("Look"):
        pass

@scenario("It goes wrong")
def bad(stage: Stage) -> None:
    with stage.step("Look"):
        raise AssertionError("there is nothing to see")
"""

# A stack of nothing but an address: what a scenario does without its actors.
FAKE_STACK = """
from __future__ import annotations
from pathlib import Path
from types import SimpleNamespace
import pytest

@pytest.fixture(scope="session")
def stack():
    folder = Path(__file__).parent / "run"
    folder.mkdir(exist_ok=True)
    app = "http://127.0.0.1:1"
    return SimpleNamespace(run_id="r1", folder=folder, backends=(app,), users=(), urls=SimpleNamespace(app=app))
"""

PROBE = """
from __future__ import annotations
import json, os
import psycopg, redis
from pathlib import Path

def test_services():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        assert client.ping()
    names = ("HARNESS_RUN", "STACK_ENV", "ALLOWED_HOSTS", "APP_ORIGINS")
    found = {name: os.environ[name] for name in names}
    found["key"] = len(os.environ["SECRET_KEY"])
    Path("found.json").write_text(json.dumps(found))
"""

MADE_BY_THE_PLUGIN = (
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "STACK_ENV",
    "ALLOWED_HOSTS",
    "APP_ORIGINS",
    "HARNESS_RUN",
)


def run_pytest(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in MADE_BY_THE_PLUGIN}
    for name in ("DJANGO_SETTINGS_MODULE", "PYTEST_XDIST_WORKER"):
        environment.pop(name, None)
    environment |= {"HARNESS_RUNS": str(folder / "runs"), **more}
    (folder / "pytest.ini").touch()
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            "pytest.ini",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            *arguments,
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "story.py").write_text(STORY, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(FAKE_STACK, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("asked", ["scenarios", "scenarios/story.py", "."])
def test_scenarios_are_tests_marked_as_needing_the_stack(stories: Path, asked: str) -> None:
    done = run_pytest(stories, asked, "--collect-only", "-q", "-m", "stack")
    found = [line for line in done.stdout.splitlines() if "::" in line]
    assert found == ["scenarios/story.py::good", "scenarios/story.py::bad"], done.stdout + done.stderr
    assert "2 tests collected" in done.stdout


SEEING = """
from __future__ import annotations
from harness import Stage, scenario

@scenario("Seen and unseen", windows=["bob"])
def both(stage: Stage) -> None:
    pass

@scenario("Seen only", windows=["bob"], eyes="always")
def seen_only(stage: Stage) -> None:
    pass
"""


@pytest.mark.parametrize(
    ("marker", "found"),
    [
        ("stack", ["both[web]", "both[browser]", "seen_only[browser]"]),
        ("browser", ["both[browser]", "seen_only[browser]"]),
        ("not browser", ["both[web]"]),
    ],
)
def test_scenarios_with_windows_are_tests_with_and_without_eyes(stories: Path, marker: str, found: list[str]) -> None:
    (stories / "scenarios" / "story.py").write_text(SEEING, encoding="utf-8")
    done = run_pytest(stories, "scenarios", "--collect-only", "-q", "-m", marker)
    names = [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]
    assert names == found, done.stdout + done.stderr


def test_one_way_of_a_scenario_is_chosen_by_its_name(stories: Path) -> None:
    (stories / "scenarios" / "story.py").write_text(SEEING, encoding="utf-8")
    for asked, found in (("both", 2), ("both[browser]", 1)):
        done = run_pytest(stories, f"scenarios/story.py::{asked}", "--collect-only", "-q")
        assert f"{found} test" in done.stdout, done.stdout + done.stderr


def test_each_way_of_a_scenario_has_its_own_place_in_the_report(stories: Path) -> None:
    (stories / "scenarios" / "story.py").write_text(SEEING, encoding="utf-8")
    done = run_pytest(stories, "scenarios", "-k", "both")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in (stories / "run" / "plays").iterdir()) == ["both", "both-browser"]


def test_where_no_browser_is_a_scenario_with_eyes_fails_and_says_what_to_type(stories: Path) -> None:
    (stories / "scenarios" / "story.py").write_text(SEEING, encoding="utf-8")
    done = run_pytest(stories, "scenarios", "-k", "both", HARNESS_CHROMIUM="/nonexistent/chromium")
    assert done.returncode == 1
    assert "1 passed, 1 deselected, 1 error" in done.stdout
    assert "HARNESS_CHROMIUM names /nonexistent/chromium, which does not answer" in done.stdout


def test_scenarios_elsewhere_are_no_tests(stories: Path) -> None:
    (stories / "test_other.py").write_text(STORY + "\ndef test_nothing():\n    pass\n", encoding="utf-8")
    done = run_pytest(stories, "test_other.py", "--collect-only", "-q")
    assert [line for line in done.stdout.splitlines() if "::" in line] == ["test_other.py::test_nothing"]


def test_a_failed_scenario_says_where_its_evidence_lies(stories: Path) -> None:
    done = run_pytest(stories, "scenarios")
    run = stories / "run"
    evidence = run / "plays" / "bad"
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert f"screens and live frames of every actor: {evidence}" in done.stdout
    assert f"the whole story, once all have played: {run / 'report.html'}" in done.stdout
    assert "there is nothing to see" in (evidence / "failure.txt").read_text(encoding="utf-8")
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert [(one["name"], one["passed"]) for one in report["scenarios"]] == [("good", True), ("bad", False)]
    seed = report["scenarios"][1]["seed"]
    repeat = f"HARNESS_SEED={seed} python -m pytest scenarios/story.py::bad"
    assert report["scenarios"][1]["repeat"] == repeat
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "1 of 2 plays failed" in page
    assert "There is nothing to see." in page
    (suite,) = JUnitXml.fromfile(str(run / "junit.xml"))
    assert (suite.tests, suite.failures) == (2, 1)


def test_services_are_there_before_the_settings_and_gone_afterwards(tmp_path: Path) -> None:
    (tmp_path / "test_probe.py").write_text(PROBE, encoding="utf-8")
    # Settings that fail to load without the services.
    settings = "import os\nSECRET_KEY = os.environ['SECRET_KEY']\nDATABASE = os.environ['DATABASE_URL']\n"
    (tmp_path / "settings_probe.py").write_text(settings, encoding="utf-8")
    done = run_pytest(tmp_path, "--ds=settings_probe")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["STACK_ENV"] == "test"
    assert "127.0.0.1" in found["ALLOWED_HOSTS"]
    assert found["key"] >= 32
    assert carriers(found["HARNESS_RUN"]) == []


WORKERS_PROBE = """
from __future__ import annotations
import os
import psycopg
from pathlib import Path

def test_services():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    Path(f"{os.environ['PYTEST_XDIST_WORKER']}.txt").write_text(os.environ["HARNESS_RUN"])
"""


def test_each_worker_of_a_distributed_run_has_services_of_its_own(tmp_path: Path) -> None:
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(WORKERS_PROBE, encoding="utf-8")
    (tmp_path / "settings_probe.py").write_text("import os\nSECRET_KEY = os.environ['SECRET_KEY']\n", encoding="utf-8")
    done = run_pytest(tmp_path, "-n", "2", "--dist", "loadfile", "--ds=settings_probe")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = {path.read_text(encoding="utf-8") for path in tmp_path.glob("gw*.txt")}
    assert len(runs) == 2
    assert [carriers(run) for run in runs] == [[], []]


def test_services_end_where_the_settings_can_not_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "settings_probe.py").write_text(
        "import os, pathlib\npathlib.Path('run').write_text(os.environ['HARNESS_RUN'])\n1 / 0\n",
        encoding="utf-8",
    )
    done = run_pytest(tmp_path, "--ds=settings_probe")
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout + done.stderr
    assert carriers((tmp_path / "run").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["test_plain.py"]])
def test_nothing_is_started_where_nothing_needs_it(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "settings_probe.py").write_text("", encoding="utf-8")
    (tmp_path / "test_plain.py").write_text(
        "import os\ndef test_plain():\n    assert 'DATABASE_URL' not in os.environ\n", encoding="utf-8"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = settings_probe.nothing\n")
    done = run_pytest(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


def test_trouble_with_the_services_is_one_sentence(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "--ds=settings_probe", DATABASE_URL="no address at all")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_annotations_are_commands_to_github(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_good(): pass\ndef test_bad():\n    print('::add-mask::e')\n    assert False, 'why'\n",
        encoding="utf-8",
    )
    done = run_pytest(tmp_path, "-q", "test_it.py", GITHUB_ACTIONS="true")
    heard: list[str] = []
    word: str | None = None
    for line in done.stdout.splitlines():
        if word is None and line.startswith("::stop-commands::"):
            word = line.removeprefix("::stop-commands::")
        elif line == f"::{word}::":
            word = None
        elif word is None and line.startswith("::"):
            heard.append(line)
    assert "::add-mask::e" in done.stdout.splitlines()
    assert [line[:33] for line in heard] == ["::error file=test_it.py,line=4,ti"], done.stdout
    assert word is None
