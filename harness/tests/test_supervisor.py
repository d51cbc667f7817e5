"""The supervisor with small fake resources: order, proofs of readiness, failures, faults."""

from __future__ import annotations

import signal
import stat
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from harness.errors import (
    DiskFull,
    HarnessError,
    NotReady,
    NotRunning,
    PortTaken,
    ResourceFailed,
    ServiceDidNotStart,
)
from harness.folders import Folders
from harness.resources import HttpReady, RedisPing, Resource
from harness.stack import Progress, StackOptions, attach, start_stack
from harness.tests.helpers import (
    FOREVER,
    NOTIFIES,
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


def test_a_message_that_names_another_run_does_not_count(folders: Folders) -> None:
    program = f"import os\nos.environ['HARNESS_RUN'] = 'another'\n{NOTIFIES}"
    with pytest.raises(NotReady):
        start_fakes(folders, fake("app", program, within=1.0))


def test_a_full_disk_is_called_that(folders: Folders) -> None:
    with pytest.raises(DiskFull, match="disk is full"):
        start_fakes(folders, task("prepare", "with open('/dev/full', 'w') as file: file.write('x')"))


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
        proof = HttpReady(f"http://127.0.0.1:{server.server_port}/readyz")
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
        f"if mark.exists(): raise SystemExit('not again')\nmark.touch()\n{NOTIFIES}"
    )
    with start_fakes(folders, fake("app", program), fake("other")) as stack:
        stack.kill("app")
        with pytest.raises(ResourceFailed, match="app ended with code 1") as caught:
            stack.start("app")
        assert caught.value.lines[-1] == "not again"
        assert stack.resource("other").state == "ready"


def test_freezing_reaches_the_whole_tree(folders: Folders) -> None:
    forking = f"import os\nos.fork() or os.setsid()\n{NOTIFIES}"
    with start_fakes(folders, fake("app", forking)) as stack:
        pid = stack.resource("app").pid
        assert pid is not None
        family = [psutil.Process(pid), *psutil.Process(pid).children()]
        assert len(family) == 2
        stack.kill("app", signal.SIGSTOP)
        eventually(
            lambda: {process.status() for process in family} == {psutil.STATUS_STOPPED},
            within=5,
            what="frozen",
        )
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
        other.shutdown()
        assert not carriers(stack.run_id)
    with pytest.raises(NotRunning):
        attach(stack.run_id, folders=folders)
    with pytest.raises(NotRunning):
        attach(folders=folders)


@pytest.mark.parametrize("scale", [{"postgres": 2}, {"backend": 0}])
def test_a_scale_that_makes_no_sense_is_refused(folders: Folders, scale: dict[str, int]) -> None:
    with pytest.raises(HarnessError, match=r"cannot be scaled|at least 1"):
        start_stack(StackOptions(services="embedded", resources=frozenset(), scale=scale), folders=folders)
