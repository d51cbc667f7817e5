"""The command line: what it prints, how it exits, what it says when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from harness import errors
from harness.cli import lifecycle
from harness.cli.group import COMMANDS, harness
from harness.cli.output import StartProgress, make_console
from harness.errors import HarnessError, NotRunning
from harness.folders import CHECKOUT, Folders
from harness.ports import free_port
from harness.stack import Progress, RunningStack, StackOptions, start_stack
from harness.stack.logs import Line
from harness.stack.plan import SERVICES
from harness.tests.conftest import folders_below
from harness.tests.helpers import SAY_READY, carriers, eventually, fake, is_alive, start_fakes

NAMES = ("DATABASE_URL", "REDIS_URL", "HARNESS_RUN")


class Cli:
    """Runs ``harness`` as people do, on folders of the test's own."""

    def __init__(self, folders: Folders) -> None:
        self.environment = {name: value for name, value in os.environ.items() if name not in NAMES} | {
            "HARNESS_RUNS": str(folders.runs),
            "HARNESS_DATA": str(folders.data),
            "HARNESS_CACHE": str(folders.cache),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *arguments],
            cwd=CHECKOUT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Standard output and error of a command, which has to end with ``code``."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=100)
        assert process.returncode == code, err
        assert "Traceback" not in err
        return out, err


@pytest.fixture
def cli(folders: Folders) -> Cli:
    return Cli(folders)


@pytest.fixture
def here(folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs ``harness`` in this process, on folders of the test's own; gives its standard output."""
    monkeypatch.setenv("HARNESS_RUNS", str(folders.runs))

    def run(*arguments: str) -> str:
        harness.main(args=list(arguments), prog_name="harness", standalone_mode=False)
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return folders_below(tmp_path_factory.mktemp("up"))


@pytest.fixture(scope="module")
def running(place: Folders) -> Iterator[RunningStack]:
    """Servers and a fake that are up in folders of this module's own."""
    options = StackOptions(
        services="embedded", resources=SERVICES, up=True, extra=(fake("app"), fake("twin-1"), fake("twin-2"))
    )
    with start_stack(options, folders=place) as stack:
        yield stack


@pytest.fixture
def up(running: RunningStack, place: Folders) -> Cli:
    return Cli(place)


@pytest.mark.parametrize("command", ["down", "status", "reset", "env"])
def test_without_a_stack_there_is_a_sentence_and_a_next_step(cli: Cli, command: str) -> None:
    out, err = cli(command, code=errors.NotRunning.exit_code)
    assert out == ""
    assert err.splitlines() == ["No stack is up in this checkout.", "Start one with: harness up"]


def test_logs_without_any_run(cli: Cli) -> None:
    _, err = cli("logs", code=errors.NotRunning.exit_code)
    assert "no run" in err


def test_help_names_every_command_with_examples() -> None:
    context = harness.make_context("harness", ["up"])
    for name in COMMANDS:
        command = harness.get_command(context, name)
        assert command is not None
        assert "harness" in (command.epilog or ""), name
        assert command.help, name


def test_every_error_has_a_code_of_its_own_but_for_a_service() -> None:
    def below(kind: type[HarnessError]) -> list[type[HarnessError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    tree = [kind for kind in below(HarnessError) if kind.__module__ == "harness.errors"]
    codes = {kind: kind.exit_code for kind in tree if kind is not errors.ServiceDidNotStart}
    assert len(set(codes.values())) == len(codes)
    assert not {0, 2, 130} & set(codes.values())
    for kind in tree:
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("wrong", [("up", "--scale", "postgres=2"), ("up", "--scale", "backend=none"), ("nothing",)])
def test_wrong_usage_ends_with_2(cli: Cli, wrong: tuple[str, ...]) -> None:
    cli(*wrong, code=2)


def test_a_taken_port_is_one_sentence(cli: Cli, folders: Folders) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _, err = cli("up", "--services", "embedded", "--port", str(port), code=errors.PortTaken.exit_code)
    assert f"Port {port} is taken by another program." in err


def test_a_second_up_names_the_first_and_leaves_it_alone(running: RunningStack, up: Cli) -> None:
    before = running.resources()
    _, err = up("up", code=errors.AlreadyRunning.exit_code)
    assert f"run {running.run_id}" in err
    assert running.resources() == before


def test_status_shows_every_resource(running: RunningStack, up: Cli) -> None:
    out, _ = up("status")
    for status in running.resources():
        (line,) = (line for line in out.splitlines() if line.startswith(status.name))
        assert status.state in line
        assert str(status.pid) in line


def test_status_as_json_is_the_record(running: RunningStack, up: Cli) -> None:
    out, _ = up("status", "--json")
    record = json.loads(out)
    assert record == running.record()
    assert set(record) == {"run", "urls", "users", "resources"}
    assert all(set(entry) == {"name", "pid", "state", "url", "log"} for entry in record["resources"])


def test_logs_of_one_and_of_all(running: RunningStack, up: Cli) -> None:
    out, _ = up("logs", "app")
    assert out == "app | hello from the fake\n"
    out, _ = up("logs", "twin", "-n", "1")
    assert {line.split()[0] for line in out.splitlines()} == {"twin-1", "twin-2"}
    out, _ = up("logs", "--json", "-n", "1")
    assert {json.loads(line)["resource"] for line in out.splitlines()} >= {"app", "redis"}
    _, err = up("logs", "nobody", code=errors.NotRunning.exit_code)
    assert "app" in err


def test_following_goes_on_until_interrupted(running: RunningStack, up: Cli) -> None:
    with up.start("logs", "twin-1", "--follow", "-n", "0") as process:
        output = process.stdout
        assert output is not None
        log = Path(running.resource("twin-1").log)
        with log.open("a") as stream:
            # The reader may still be on its way, so lines come until one has arrived.
            def arrived() -> bool:
                stream.write("and then\n")
                stream.flush()
                os.set_blocking(output.fileno(), False)
                return "twin-1 | and then" in (output.readline() or "")

            eventually(arrived, within=20, what="the followed line")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_env_gives_what_manage_needs_but_not_the_runs_id(running: RunningStack, up: Cli) -> None:
    out, _ = up("env", "--json")
    expected = dict(running.environment)
    del expected["HARNESS_RUN"]
    assert json.loads(out) == expected
    out, _ = up("env", "--export")
    asked = subprocess.run(
        ["/bin/sh", "-c", f'{out}\nprintf %s "$DATABASE_URL"'], capture_output=True, text=True, check=True
    )
    assert asked.stdout == running.environment["DATABASE_URL"]


def test_manage_passes_options_output_and_code_through(running: RunningStack, up: Cli) -> None:
    out, _ = up("manage", "shell", "--no-imports", "-c", "import os; print(os.environ['HARNESS_RUN'])")
    assert out == f"{running.run_id}\n"
    up("manage", "shell", "--no-imports", "-c", "raise SystemExit(7)", code=7)


@pytest.mark.stack
def test_manage_without_a_stack_gets_a_throwaway_one_and_says_so(cli: Cli, folders: Folders) -> None:
    out, err = cli("manage", "shell", "--no-imports", "-c", "import os; print(os.environ['HARNESS_RUN'])")
    assert "throwaway" in err
    assert not carriers(out.strip())


def test_manage_passes_a_request_to_end_on(running: RunningStack, up: Cli) -> None:
    waiting = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with up.start("manage", "shell", "--no-imports", "-c", waiting) as process:
        assert process.stdout is not None
        command = int(process.stdout.readline())
        process.terminate()
        assert process.wait(20) == 128 + signal.SIGTERM
    assert not is_alive(command)


@pytest.mark.parametrize("arguments", [("up", "--services", "embedded"), ("manage", "check")])
def test_a_place_that_can_not_be_used_is_one_sentence(cli: Cli, arguments: tuple[str, ...]) -> None:
    cli.environment["HARNESS_RUNS"] = "/proc/nope"
    _, err = cli(*arguments, code=errors.PlaceUnusable.exit_code)
    assert err.startswith("/proc/nope cannot be used:")


def test_a_warning_is_seen_where_stdout_goes_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    StartProgress(make_console(stderr=False))(Progress(warning="Look out."))
    assert capsys.readouterr() == ("", "Look out.\n")


def test_reset_of_a_database_of_others_wants_a_yes(
    tmp_path: Path, running: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = folders_below(tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, running.environment[name])
    options = StackOptions(services="url", resources=SERVICES, up=True)
    with start_stack(options, folders=folders):
        _, err = Cli(folders)("reset", code=errors.StateFailed.exit_code)
    assert "--yes" in err


def test_down_ends_what_another_terminal_started(folders: Folders) -> None:
    with start_fakes(folders, fake("app"), up=True) as stack:
        out, _ = Cli(folders)("down", "--json")
        assert json.loads(out)["run"] == stack.run_id
        assert not carriers(stack.run_id)


def test_a_run_beside_the_one_that_is_up_is_found(folders: Folders, here: Callable[..., str]) -> None:
    with start_fakes(folders, fake("app")) as stack:
        before = stack.resource("app").pid
        assert json.loads(here("status", "--json"))["run"] == stack.run_id
        assert here("logs", "app") == "app | hello from the fake\n"
        assert json.loads(here("env", "--json"))["DATABASE_URL"] == stack.environment["DATABASE_URL"]
        told = json.loads(here("restart", "app", "--json"))
        assert (told["run"], told["resource"]["state"]) == (stack.run_id, "ready")
        assert told["resource"]["pid"] == stack.resource("app").pid != before
        # Ending is for those who say what.
        with pytest.raises(NotRunning, match=stack.run_id) as caught:
            here("down")
        assert "--run ID" in caught.value.hint
        with start_fakes(folders, fake("app")) as other:
            for command in (("status",), ("logs",), ("env",), ("restart", "app")):
                with pytest.raises(NotRunning, match=f"{stack.run_id}, {other.run_id}|{other.run_id}, {stack.run_id}"):
                    here(*command)
        here("down", "--run", stack.run_id)
        assert not carriers(stack.run_id)


def test_one_that_is_killed_is_started_again(folders: Folders, here: Callable[..., str]) -> None:
    with start_fakes(folders, fake("app"), up=True) as stack:
        stack.kill("app")
        assert here("restart", "app").startswith("app is ready again, process ")
        assert stack.resource("app").state == "ready"
        with pytest.raises(NotRunning, match="nobody") as caught:
            here("restart", "nobody")
        assert caught.value.hint == "It has: app."


def test_what_is_logged_last_is_still_shown(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    following, shown = threading.Event(), list[Line]()

    def printer(*_: object) -> Callable[[Line], None]:
        following.set()
        return shown.append

    monkeypatch.setattr(lifecycle, "_POLL", 600.0)
    monkeypatch.setattr(lifecycle, "LogPrinter", printer)
    program = f"import sys\n{SAY_READY}\nsignal.signal(15, lambda *_: sys.exit('bye'))\nsignal.pause()"
    with start_fakes(folders, fake("app", program)) as stack:
        console = make_console(stderr=False)
        thread = threading.Thread(target=lambda: lifecycle._follow(console, stack, quiet=False))
        thread.start()
        assert following.wait(10)
        stack.shutdown()
        thread.join()
    assert shown == [Line("app", "bye")]


@pytest.mark.stack
@pytest.mark.parametrize("reached", ["up.lock", "*/supervisor.lock", "*/logs/redis.log", "*/logs/prepare.log"])
def test_ctrl_c_at_any_moment_ends_everything_with_130(cli: Cli, folders: Folders, reached: str) -> None:
    with cli.start("up", "--services", "embedded") as process:
        eventually(lambda: list(folders.runs.glob(reached)), within=60, what=f"{reached} exists")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().splitlines() == ["Interrupted: everything that was started has ended."]
    for folder in folders.runs.glob("*-*"):
        assert not carriers(folder.name)


@pytest.mark.stack
def test_the_whole_stack_goes_up_is_reset_and_goes_down(cli: Cli, folders: Folders) -> None:
    port = free_port()
    out, err = cli("up", "--detach", "--json", "--services", "embedded", "--scale", "backend=2", "--port", str(port))
    try:
        record = json.loads(out)
        assert record["urls"] == {
            "app": f"http://127.0.0.1:{port}",
            "admin": f"http://127.0.0.1:{port}/admin/",
            "api": f"http://127.0.0.1:{port}/api/",
            "live": f"ws://127.0.0.1:{port}/live",
            "docs": None,
        }
        assert {user["role"] for user in record["users"]} == {"user", "admin"}
        states = {entry["name"]: entry["state"] for entry in record["resources"]}
        names = ("postgres", "redis", "prepare", "backend-1", "backend-2", "renderer", "relay", "worker")
        assert states == {name: "done" if name == "prepare" else "ready" for name in names}
        for user in record["users"]:
            assert user["password"] not in err

        database = json.loads(cli("env", "--json")[0])["DATABASE_URL"]
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE TABLE of_a_developer ()")
        cli("reset")
        with psycopg.connect(database) as connection:
            found = connection.execute("SELECT to_regclass('of_a_developer'), count(*) FROM django_migrations")
            table, migrations = found.fetchone() or (None, 0)
            assert table is None
            assert migrations > 0

        def healthy() -> bool:
            after = json.loads(cli("status", "--json")[0])
            return states == {entry["name"]: entry["state"] for entry in after["resources"]}

        eventually(healthy, within=20, what="every process has come through the reset")
    finally:
        cli("down")
    assert not carriers(record["run"])
