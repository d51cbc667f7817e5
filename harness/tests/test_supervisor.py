"""The supervisor with small fake resources: order, proofs of readiness, failures, faults."""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import socket
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from harness.errors import (
    DiskFull,
    HarnessError,
    ManageFailed,
    NotReady,
    NotRunning,
    PortTaken,
    ResourceFailed,
    ServiceDidNotStart,
    SupervisorSilent,
)
from harness.folders import Folders
from harness.resources import HttpReady, PageReady, RedisPing, Resource
from harness.stack import Progress, StackOptions, attach, start, start_stack, supervisor
from harness.stack.child import Child, StartFailed
from harness.stack.control import Client, as_error
from harness.stack.environment import process_environment
from harness.tests.helpers import (
    FOREVER,
    NOTIFIES,
    SAY_READY,
    STUBBORN,
    carriers,
    eventually,
    fake,
    is_alive,
    run_folder,
    start_fakes,
    task,
)


def test_dependants_start_after_what_they_need(folders: Folders, tmp_path: Path) -> None:
    mark = tmp_path / "prepared"
    prepare = task("prepare", f"open({str(mark)!r}, 'w').close()")
    program = f"import pathlib, sys\npathlib.Path({str(mark)!r}).exists() or sys.exit('too early')\n{NOTIFIES}"
    with start_fakes(folders, fake("app", program, depends_on=("prepare",)), prepare) as stack:
        states = {status.name: status.state for status in stack.resources()}
        assert states == {"app": "ready", "prepare": "done"}
        assert stack.resource("prepare").pid is None


def test_progress_ends_with_everything_ready(folders: Folders) -> None:
    told: list[Progress] = []
    options = StackOptions(services="embedded", resources=frozenset(), extra=(fake("a"), fake("b")))
    with start_stack(options, on_progress=told.append, folders=folders):
        last = told[-1].snapshot
        assert last is not None
        assert last.phase == "ready"
        assert all(status.seconds is not None and status.seconds > 0 for status in last.resources)
    assert any("postgres: embedded" in progress.sentence for progress in told)


def test_what_a_run_writes_is_for_its_owner_alone(folders: Folders) -> None:
    with start_fakes(folders, fake("app")) as stack:
        paths = [stack.folder, *stack.folder.rglob("*")]
        assert (stack.folder / "logs" / "app.log").read_text() == "hello from the fake\n"
        for path in paths:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        state = (stack.folder / "state.json").read_text()
        for secret in ("DATABASE_URL", stack.environment["SECRET_KEY"]):
            assert secret not in state


def test_a_failed_resource_is_named_with_its_last_lines_and_nothing_is_left(folders: Folders) -> None:
    failing = task("prepare", "for n in range(50): print('line', n)\nraise SystemExit(3)")
    with pytest.raises(ResourceFailed, match="prepare ended with code 3") as caught:
        start_fakes(folders, fake("app"), failing, fake("late", depends_on=("prepare",)))
    assert caught.value.lines == tuple(f"line {number}" for number in range(30, 50))
    run = run_folder(folders).name
    assert f"harness logs prepare --run {run}" in caught.value.hint
    assert not carriers(run)
    assert not (run_folder(folders) / "logs" / "late.log").exists()


def test_a_service_that_dies_at_start_is_a_service_that_did_not_start(folders: Folders) -> None:
    dying = fake(
        "redis",
        "raise SystemExit('no luck')",
        kind="service",
        readiness=RedisPing("redis://127.0.0.1:1", own=True),
    )
    with pytest.raises(ServiceDidNotStart, match="redis ended with code 1") as caught:
        start_fakes(folders, dying)
    assert caught.value.lines == ("no luck",)


def test_a_command_that_does_not_exist_is_one_sentence(folders: Folders) -> None:
    missing = Resource("app", "process", ("/nowhere/app",), fake("x").readiness, "/")
    with pytest.raises(ResourceFailed, match="app could not be started"):
        start_fakes(folders, missing)


def test_one_that_never_says_so_is_not_ready(folders: Folders) -> None:
    with pytest.raises(NotReady, match=r"app was not ready within 0\.5 s"):
        start_fakes(folders, fake("app", FOREVER, within=0.5))
    assert not carriers(run_folder(folders).name)


def test_a_message_that_names_another_run_does_not_count(folders: Folders, tmp_path: Path) -> None:
    said, go = tmp_path / "said", tmp_path / "go"
    program = (
        f"import os, pathlib, time\nos.environ['HARNESS_RUN'] = 'another'\n{SAY_READY}\n"
        f"pathlib.Path({str(said)!r}).touch()\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\nraise SystemExit(3)"
    )
    states: list[str] = []

    def look() -> None:
        eventually(said.exists, within=30, what="the message was sent")
        stack = attach(run_folder(folders).name, folders=folders)
        # Each answer is a turn of the supervisor, which had the message before the first.
        states.extend(stack.resource("app").state for _ in range(3))
        go.touch()

    watcher = threading.Thread(target=look)
    watcher.start()
    with pytest.raises(ResourceFailed, match="app ended with code 3"):
        start_fakes(folders, fake("app", program))
    watcher.join()
    assert states == ["starting"] * 3


def test_a_full_disk_is_called_that(folders: Folders) -> None:
    with pytest.raises(DiskFull, match="disk is full"):
        start_fakes(folders, task("prepare", "with open('/dev/full', 'w') as file: file.write('x')"))


def test_no_room_for_a_log_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def start() -> None:
        await Child(task("prepare", "pass"), run="r", logs=tmp_path, sockets=tmp_path, changed=lambda: None).start()

    monkeypatch.setattr("harness.stack.child.os.open", full)
    with pytest.raises(StartFailed) as caught:
        asyncio.run(start())
    assert isinstance(as_error(caught.value.failure), DiskFull)


def test_no_room_for_the_control_socket_is_a_full_disk(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp")

    monkeypatch.setattr(supervisor, "_first_line", lambda: made_plan(folders).to_line())
    monkeypatch.setattr("tempfile.mkdtemp", full)
    supervisor.main()
    line = capsys.readouterr().out
    with subprocess.Popen(["printf", "%s", line], stdout=subprocess.PIPE) as process, pytest.raises(DiskFull):
        start._control_path(made_plan(folders), process)


def test_a_supervisor_that_says_nothing_does_not_hold_up_the_start_for_ever(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_SUPERVISOR_START", 0.1)
    with subprocess.Popen([sys.executable, "-c", FOREVER], stdout=subprocess.PIPE) as process:
        try:
            with pytest.raises(SupervisorSilent, match="not begun"):
                start._control_path(made_plan(folders), process)
        finally:
            process.kill()


def made_plan(folders: Folders) -> supervisor.Plan:
    return supervisor.Plan(
        run="r", folder=str(folders.runs / "r"), resources=(), facts={}, public={}, remove=(), places=(), locks=()
    )


def test_a_supervisor_that_does_not_answer_in_time_is_not_called_gone(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(SupervisorSilent, match=r"not answered within 0\.1 s"):
            Client(path).ask("status", within=0.1)


def test_what_a_command_refuses_is_one_sentence(folders: Folders) -> None:
    program = "print('noise')\nraise SystemExit('CommandError: The database d is not empty.')"
    with pytest.raises(ManageFailed) as caught:
        start_fakes(folders, task("prepare", program))
    assert str(caught.value) == "The database d is not empty."


def test_what_a_shell_holds_by_chance_does_not_reach_the_processes(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGSSLMODE", "SECRET_KEY_FILE", "HARMLESS"):
        monkeypatch.setenv(name, "by chance")
    program = "import json, os\nprint(json.dumps(dict(os.environ)), flush=True)"
    with start_fakes(folders, fake("app", f"{program}\n{NOTIFIES}", environment={"SECRET_KEY": "ours"})) as stack:
        found = json.loads((stack.folder / "logs" / "app.log").read_text().splitlines()[0])
        assert stack.environment["DJANGO_SETTINGS_MODULE"] == "stack.config.settings"
    assert (found["SECRET_KEY"], found["HARMLESS"]) == ("ours", "by chance")
    assert not {"PGHOST", "PGSSLMODE", "SECRET_KEY_FILE"} & set(found)


@pytest.mark.parametrize(("url", "is_kept"), [("postgres://shell/one", True), ("postgres://ours/another", False)])
def test_a_way_past_the_pooler_leads_to_the_same_database(
    monkeypatch: pytest.MonkeyPatch, url: str, is_kept: bool
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://shell/one")
    monkeypatch.setenv("LIVE_DATABASE_URL", "postgres://shell/direct")
    assert ("LIVE_DATABASE_URL" in process_environment({"DATABASE_URL": url})) is is_kept
    assert "LIVE_DATABASE_URL" in process_environment({"HARNESS_RUN": "other"})


def test_one_that_inherits_nothing_gets_no_secret(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "NODE_OPTIONS", "LC_TIME"):
        monkeypatch.setenv(name, "by chance")
    program = "import json, os\nprint(json.dumps(dict(os.environ)), flush=True)"
    with start_fakes(
        folders, fake("app", f"{program}\n{NOTIFIES}", environment={"PORT": "1"}, inherits=False)
    ) as stack:
        found = json.loads((stack.folder / "logs" / "app.log").read_text().splitlines()[0])
        assert found["HARNESS_RUN"] == stack.run_id
    assert (found["PORT"], found["LC_TIME"]) == ("1", "by chance")
    allowed = {"PATH", "HOME", "LANG", "TMPDIR", "TZ", "PORT", "HARNESS_RUN", "NOTIFY_SOCKET"}
    assert {name for name in found if not name.startswith("LC_")} <= allowed


def test_a_port_lost_to_another_program_is_called_that(folders: Folders) -> None:
    program = "import socket\na = socket.create_server(('127.0.0.1', 0))\nsocket.create_server(a.getsockname())"
    with pytest.raises(PortTaken, match="port"):
        start_fakes(folders, fake("app", program))


class _Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok", "run": "somebody else"}')

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_server_that_is_not_of_this_run_is_never_taken_for_it(folders: Folders) -> None:
    with HTTPServer(("127.0.0.1", 0), _Foreign) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for proof in (HttpReady(f"{url}/readyz"), PageReady(url)):
            with pytest.raises(NotReady, match="not of this run"):
                start_fakes(folders, fake("backend", FOREVER, readiness=proof, within=1.0))
        server.shutdown()


def test_one_that_dies_later_is_shown_and_not_restarted(folders: Folders) -> None:
    with start_fakes(folders, fake("app"), fake("other")) as stack:
        before = stack.resource("app")
        assert before.pid is not None
        stack.kill("app", signal.SIGTERM)
        eventually(lambda: stack.resource("app").state == "exited", within=5, what="app exited")
        after = stack.resource("app")
        assert (after.label, after.pid) == ("exited (-15)", None)
        assert stack.resource("other").state == "ready"
        with pytest.raises(NotReady):
            stack.wait_ready("app", within=0.2)


def test_kill_waits_for_the_end_and_start_for_readiness(folders: Folders) -> None:
    with start_fakes(folders, fake("app")) as stack:
        before = stack.resource("app").pid
        stack.kill("app")
        assert stack.resource("app").label == "exited (-9)"
        stack.start("app")
        stack.wait_ready("app", within=5)
        after = stack.resource("app").pid
        assert after is not None
        assert after != before


def test_stop_and_start_of_one_resource(folders: Folders) -> None:
    with start_fakes(folders, fake("app")) as stack:
        stack.stop_resource("app")
        assert stack.resource("app").state == "stopped"
        stack.start("app")
        assert stack.resource("app").state == "ready"


def test_a_restart_that_fails_says_why_and_leaves_the_rest(folders: Folders, tmp_path: Path) -> None:
    mark = tmp_path / "second"
    program = (
        f"import pathlib\nmark = pathlib.Path({str(mark)!r})\n"
        f"if mark.exists(): raise SystemExit('not again')\nmark.touch()\n"
        f"print('No space left on device', flush=True)\n{NOTIFIES}"
    )
    with start_fakes(folders, fake("app", program), fake("other")) as stack:
        stack.kill("app")
        # What the former life wrote explains nothing.
        with pytest.raises(ResourceFailed, match="app ended with code 1") as caught:
            stack.start("app")
        assert (caught.value.resource, caught.value.lines) == ("app", ("not again",))
        assert stack.resource("other").state == "ready"


def test_freezing_reaches_the_whole_tree(folders: Folders) -> None:
    forking = f"import os\nos.fork() or os.setsid()\n{NOTIFIES}"
    with start_fakes(folders, fake("app", forking)) as stack:
        pid = stack.resource("app").pid
        assert pid is not None
        family = [psutil.Process(pid), *psutil.Process(pid).children()]
        assert len(family) == 2
        stack.kill("app", signal.SIGSTOP)
        assert {process.status() for process in family} == {psutil.STATUS_STOPPED}
        stack.kill("app", signal.SIGCONT)
        eventually(
            lambda: psutil.STATUS_STOPPED not in {process.status() for process in family},
            within=5,
            what="thawed",
        )
        stack.kill("app", signal.SIGSTOP)
    # The end of the stack reaches frozen ones as well.
    assert not any(is_alive(process.pid) for process in family)


def test_one_that_ignores_requests_is_killed_with_its_group(folders: Folders) -> None:
    with start_fakes(folders, fake("app", STUBBORN, grace=0.5)) as stack:
        run = stack.run_id
        assert len(carriers(run)) >= 4
    assert not carriers(run)


def test_unknown_names_are_answered_with_the_known_ones(folders: Folders) -> None:
    with start_fakes(folders, fake("app")) as stack:
        for ask in (stack.kill, stack.start, stack.stop_resource, stack.resource):
            with pytest.raises(NotRunning, match="nobody") as caught:
                ask("nobody")
            assert "app" in caught.value.hint


def test_attaching_to_a_run_gives_the_same_stack_and_closing_only_lets_go(folders: Folders) -> None:
    with start_fakes(folders, fake("app")) as stack:
        with attach(stack.run_id, folders=folders) as other:
            assert other.environment == stack.environment
            assert other.resources() == stack.resources()
        assert stack.resource("app").state == "ready"
        # Two may ask at once; both find it ended.
        second = threading.Thread(target=other.shutdown)
        second.start()
        stack.shutdown()
        second.join()
        assert not carriers(stack.run_id)
    with pytest.raises(NotRunning):
        attach(stack.run_id, folders=folders)
    with pytest.raises(NotRunning):
        attach(folders=folders)


@pytest.mark.parametrize("scale", [{"postgres": 2}, {"backend": 0}])
def test_a_scale_that_makes_no_sense_is_refused(folders: Folders, scale: dict[str, int]) -> None:
    with pytest.raises(HarnessError, match=r"cannot be scaled|at least 1"):
        start_stack(StackOptions(services="embedded", resources=frozenset(), scale=scale), folders=folders)
