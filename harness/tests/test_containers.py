"""Real Postgres and Redis in real containers, and what is left of them. `nox -s containers` brings the engine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from harness.containers import leftovers
from harness.containers.engine import Engine, client, find_engine
from harness.errors import DataUnusable, ServiceDidNotStart, SourceUnusable
from harness.folders import CHECKOUT, Folders
from harness.services.containers import POSTGRES_IMAGE, REDIS_IMAGE, kept_volume
from harness.stack import Progress, RunningStack, StackOptions, start_stack
from harness.stack.plan import SERVICES
from harness.tests.conftest import folders_below
from harness.tests.helpers import carriers, eventually, fake, is_alive

pytestmark = [pytest.mark.containers, pytest.mark.stack]

THROWAWAY = StackOptions(services="containers", resources=SERVICES)
KEPT = StackOptions(services="containers", resources=SERVICES, durable=True)
SCENARIOS = ("two_people_chat", "admin_edit_reaches_clients", "job_progress_is_live")
# Removal goes through the engine, and through a client that has to be imported first.
GONE_WITHIN = 15.0


@pytest.fixture(scope="module")
def engine() -> Engine:
    """The engine; without one these tests fail, as they are only asked for where there has to be one."""
    return find_engine()


@pytest.fixture(scope="module")
def contained(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Throwaway Postgres and Redis in containers, shared by the tests of this module."""
    with start_stack(THROWAWAY, folders=folders_below(tmp_path_factory.mktemp("contained"))) as stack:
        yield stack


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> Iterator[Folders]:
    """Folders of this test's own, and no volume of theirs left."""
    folders = folders_below(tmp_path)
    yield folders
    with client(engine.address) as asked:
        for volume in asked.volumes.list(filters={"name": kept_volume(folders, "postgres").removesuffix("postgres")}):
            volume.remove(force=True)


def query(stack: RunningStack, statement: str) -> object:
    url = stack.environment["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def cache(stack: RunningStack) -> redis.Redis:
    return redis.Redis.from_url(stack.environment["REDIS_URL"], decode_responses=True, socket_timeout=5)


def remember(stack: RunningStack) -> None:
    """Leave something in the database that a kill may not take along: throwaway data is written with a delay."""
    query(stack, "SET synchronous_commit = on; CREATE TABLE of_before AS SELECT 42 AS answer")


def passwords(stack: RunningStack) -> list[str]:
    return [stack.environment[name].split("@")[0].rsplit(":", 1)[1] for name in ("DATABASE_URL", "REDIS_URL")]


def inspected(engine: Engine, stack: RunningStack) -> dict[str, dict[str, Any]]:
    """What the engine tells about the run's containers, by the service's name."""
    with client(engine.address) as asked:
        return {name: asked.containers.get(f"tims-stack-{stack.run_id}-{name}").attrs for name in sorted(SERVICES)}


def left(engine: Engine, run: str) -> list[str]:
    """Names of the containers and volumes of a run."""
    label = f"tims-stack.run={run}"
    with client(engine.address) as asked:
        containers = asked.containers.list(all=True, ignore_removed=True, filters={"label": label})
        volumes = asked.volumes.list(filters={"label": label})
        return [*(found.name or "" for found in containers), *(str(found.id) for found in volumes)]


def test_both_answer_to_the_environment_of_the_stack(contained: RunningStack) -> None:
    assert contained.services == ("containers", "containers")
    assert query(contained, "SELECT current_database()") == "stack"
    with cache(contained) as asked:
        assert asked.ping()


@pytest.mark.parametrize(
    ("setting", "value"),
    [("server_encoding", "UTF8"), ("max_connections", "200"), ("TimeZone", "UTC"), ("fsync", "off")],
)
def test_settings_are_those_of_embedded_servers(contained: RunningStack, setting: str, value: str) -> None:
    assert query(contained, f"SELECT current_setting('{setting}')") == value


def test_text_sorts_as_in_embedded_servers(contained: RunningStack) -> None:
    found = query(contained, "SELECT datlocale FROM pg_database WHERE datname = current_database()")
    assert found == "C.UTF-8"
    assert query(contained, "SELECT 'B' < 'a' AND 'Z' < 'ä' AND lower('Ä') = 'ä'") is True


def test_the_role_may_create_databases_and_no_more(contained: RunningStack) -> None:
    query(contained, "CREATE DATABASE of_a_test")
    query(contained, "DROP DATABASE of_a_test")
    assert query(contained, "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user") is False


def test_nobody_gets_in_without_the_password(contained: RunningStack) -> None:
    for user in ("stack", "postgres"):
        for password in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(contained.environment["DATABASE_URL"], user=user, password=password, connect_timeout=5)
    url = contained.environment["REDIS_URL"]
    with (
        redis.Redis.from_url(f"redis://{url.rsplit('@', 1)[1]}") as asked,
        pytest.raises(redis.AuthenticationError),
    ):
        asked.ping()


def test_no_password_is_shown_by_a_process_or_by_the_engine(contained: RunningStack, engine: Engine) -> None:
    supervisor = psutil.Process(contained.snapshot().supervisor)
    family = [supervisor, *supervisor.children(recursive=True)]
    assert len(family) >= 4
    shown = [argument for process in family for argument in process.cmdline()]
    shown.append(json.dumps(inspected(engine, contained)))
    with client(engine.address) as asked:
        for name in SERVICES:
            top = asked.containers.get(f"tims-stack-{contained.run_id}-{name}").top()
            shown.append(json.dumps(top))
    assert not any(password in text for password in passwords(contained) for text in shown)


def test_servers_listen_on_loopback_alone(contained: RunningStack, engine: Engine) -> None:
    for name, told in inspected(engine, contained).items():
        ports = [binding for bindings in told["NetworkSettings"]["Ports"].values() for binding in bindings or ()]
        assert [binding["HostIp"] for binding in ports] == ["127.0.0.1"], name
        others = {
            address.address
            for link, addresses in psutil.net_if_addrs().items()
            for address in addresses
            if address.family == socket.AF_INET and link != "lo" and not link.startswith(("docker", "br-"))
        }
        for host in others:
            with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
                socket.create_connection((host, int(ports[0]["HostPort"])), 1.0).close()


def test_servers_do_not_run_as_root(contained: RunningStack, engine: Engine) -> None:
    with client(engine.address) as asked:
        for name in SERVICES:
            top = asked.containers.get(f"tims-stack-{contained.run_id}-{name}").top()
            users = {row[top["Titles"].index("UID")] for row in top["Processes"]}
            assert users
            assert not users & {"root", "0"}, name


def test_a_killed_postgres_comes_back_with_its_data(contained: RunningStack) -> None:
    before = contained.resource("postgres")
    remember(contained)
    contained.kill("postgres")
    assert contained.resource("postgres").label == "exited (-9)"
    with pytest.raises(psycopg.OperationalError):
        query(contained, "SELECT 1")
    contained.start("postgres")
    assert contained.resource("postgres").url == before.url
    assert contained.resource("postgres").pid != before.pid
    assert query(contained, "SELECT answer FROM of_before") == 42
    query(contained, "DROP TABLE of_before")


def test_a_killed_redis_comes_back_empty(contained: RunningStack) -> None:
    with cache(contained) as asked:
        asked.set("of_before", "42")
        contained.kill("redis")
        assert contained.resource("redis").label == "exited (-9)"
        contained.start("redis")
        assert asked.get("of_before") is None


@pytest.mark.parametrize("frozen", [False, True])
def test_a_restart_keeps_the_data(contained: RunningStack, frozen: bool) -> None:
    remember(contained)
    if frozen:
        contained.kill("postgres", signal.SIGSTOP)
    contained.restart("postgres")
    assert query(contained, "SELECT answer FROM of_before") == 42
    query(contained, "DROP TABLE of_before")


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_frozen_server_is_silent_until_it_goes_on(contained: RunningStack, name: str) -> None:
    port = int((contained.resource(name).url or "").rsplit(":", 1)[1].split("/")[0])
    with cache(contained) as asked, psycopg.connect(contained.environment["DATABASE_URL"]) as connection:
        asked.ping()
        contained.kill(name, signal.SIGSTOP)
        # Twice means the same as once.
        contained.kill(name, signal.SIGSTOP)
        try:
            # It keeps its port, as the kernel accepts in its place.
            with socket.create_connection(("127.0.0.1", port), 2.0) as waiting:
                waiting.settimeout(0.5)
                waiting.sendall(b"PING\r\n")
                with pytest.raises(TimeoutError):
                    waiting.recv(1)
        finally:
            contained.kill(name, signal.SIGCONT)
        asked.ping()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_container_whose_process_was_killed_is_replaced(contained: RunningStack, engine: Engine) -> None:
    before = inspected(engine, contained)["redis"]["Id"]
    pid = contained.resource("redis").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: contained.resource("redis").state == "exited", within=10, what="its end is noticed")
    contained.start("redis")
    assert inspected(engine, contained)["redis"]["Id"] != before
    with cache(contained) as asked:
        assert asked.ping()


def test_the_log_is_the_servers(contained: RunningStack) -> None:
    log = Path(contained.resource("postgres").log)
    eventually(lambda: "ready to accept connections" in log.read_text(), within=10, what="the log tells")


def test_one_that_dies_at_start_is_noticed_at_once_with_its_log(
    place: Folders, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Redis's image holds no Postgres.
    monkeypatch.setenv(POSTGRES_IMAGE, os.environ.get(REDIS_IMAGE) or "redis:8-alpine")
    begun = time.monotonic()
    with pytest.raises(ServiceDidNotStart, match="postgres ended with code 127 before it was ready") as caught:
        start_stack(THROWAWAY, folders=place)
    # Otherwise it would be waited for as long as one that takes its time.
    assert time.monotonic() - begun < 20
    assert any("not found" in line for line in caught.value.lines)
    (run,) = (path.name for path in place.runs.glob("*-*"))
    assert left(engine, run) == []


def test_an_image_that_can_not_be_had_is_one_sentence_within_seconds(
    place: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REDIS_IMAGE, "127.0.0.1:1/nobody/nothing:1")
    begun = time.monotonic()
    with pytest.raises(SourceUnusable, match="nothing:1 is not on this machine") as caught:
        start_stack(THROWAWAY, folders=place)
    assert time.monotonic() - begun < 20
    assert REDIS_IMAGE in caught.value.hint


def test_auto_takes_containers_and_tells_which_engine_answers(place: Folders, engine: Engine) -> None:
    told: list[Progress] = []
    options = StackOptions(services="auto", resources=frozenset({"redis"}))
    with start_stack(options, on_progress=told.append, folders=place) as stack:
        assert stack.services == ("containers", "containers")
    assert f"redis: containers ({engine})" in [progress.sentence for progress in told]


def test_throwaway_data_goes_with_the_run(place: Folders, engine: Engine) -> None:
    with start_stack(THROWAWAY, folders=place) as stack:
        assert len(left(engine, stack.run_id)) == 3
    assert left(engine, stack.run_id) == []
    assert not leftovers.has_note(stack.folder)


def test_kept_data_survives_and_is_durable(place: Folders, engine: Engine) -> None:
    with start_stack(KEPT, folders=place) as stack:
        assert query(stack, "SHOW fsync") == "on"
        query(stack, "CREATE TABLE kept AS SELECT 42 AS answer")
        with cache(stack) as asked:
            asked.set("kept", "42")
        with pytest.raises(DataUnusable, match=f"in use by the container tims-stack-{stack.run_id}"):
            start_stack(KEPT, folders=place)
    assert left(engine, stack.run_id) == []
    with start_stack(KEPT, folders=place) as stack:
        assert query(stack, "SELECT answer FROM kept") == 42
        with cache(stack) as asked:
            assert asked.get("kept") == "42"
    (place.data / "credentials.json").unlink()
    with pytest.raises(DataUnusable, match="passwords of the data in the volume"):
        start_stack(KEPT, folders=place)


# A harness of its own: starts containers, tells the run's id, waits.
HARNESS = """
import json, signal, sys, time
from pathlib import Path
from harness.folders import CHECKOUT, Folders
from harness.stack import StackOptions, start_stack
from harness.stack.plan import SERVICES
# Whoever runs the tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
place = Path(sys.argv[1])
folders = Folders(CHECKOUT, place / "runs", place / "data", CHECKOUT / ".cache")
with start_stack(StackOptions(services="containers", resources=SERVICES), folders=folders) as stack:
    print(json.dumps({"run": stack.run_id, "supervisor": stack.snapshot().supervisor}), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def harness(place: Folders) -> Iterator[subprocess.Popen[str]]:
    """A harness as a process of its own, with containers that it started."""
    command = [sys.executable, "-c", HARNESS, str(place.runs.parent)]
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process
        process.kill()


def told_by(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stdout is not None
    record = json.loads(process.stdout.readline())
    return record["run"], record["supervisor"]


@pytest.mark.parametrize("victim", ["harness", "supervisor"])
def test_after_a_kill_nothing_is_left(harness: subprocess.Popen[str], engine: Engine, victim: str) -> None:
    run, supervisor = told_by(harness)
    assert len(left(engine, run)) == 3
    os.kill(harness.pid if victim == "harness" else supervisor, signal.SIGKILL)
    eventually(lambda: not left(engine, run) and not carriers(run), within=GONE_WITHIN, what="nothing is left")


@pytest.mark.parametrize("reached", ["containers.json", "state.json", "logs/postgres.log"])
def test_an_end_in_the_midst_of_the_start_leaves_nothing(
    harness: subprocess.Popen[str], place: Folders, engine: Engine, reached: str
) -> None:
    eventually(lambda: list(place.runs.glob(f"*/{reached}")), within=30, what=f"{reached} exists")
    harness.send_signal(signal.SIGINT)
    harness.wait(30)
    (run,) = (path.name for path in place.runs.glob("*-*"))
    eventually(lambda: not left(engine, run) and not carriers(run), within=GONE_WITHIN, what="nothing is left")


def test_what_a_killed_run_left_is_swept_at_the_next_start(
    harness: subprocess.Popen[str], place: Folders, engine: Engine
) -> None:
    run, supervisor = told_by(harness)
    family = psutil.Process(supervisor)
    # Everybody who could clean up is killed at once: the watchdog first, then the others.
    (watchdog,) = (child for child in family.children() if "harness.stack.watchdog" in child.cmdline())
    watchdog.kill()
    wrappers = family.children()
    orphans = [wrapper.pid for wrapper in wrappers]
    family.kill()
    for wrapper in wrappers:
        wrapper.kill()
    harness.kill()
    eventually(lambda: not any(map(is_alive, (supervisor, *orphans))), within=10, what="all of them are gone")
    assert len(left(engine, run)) == 3
    told: list[Progress] = []
    options = StackOptions(services="embedded", resources=frozenset(), extra=(fake("app"),))
    with start_stack(options, on_progress=told.append, folders=place):
        assert left(engine, run) == []
    assert f"Removed what run {run} had left when it was killed." in [progress.sentence for progress in told]


@pytest.fixture(scope="module")
def played(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """The reports of each core scenario, played on containers as people would."""
    command = [sys.executable, "-m", "harness", "scenario", *SCENARIOS, "--services", "containers", "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout, done.stderr
    assert "postgres: containers (asked for)" in done.stderr
    plays = json.loads(done.stdout)["scenarios"]
    return {name: [play for play in plays if play["name"].split("[")[0] == name] for name in SCENARIOS}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_core_scenario_holds_on_containers(played: dict[str, list[dict[str, Any]]], name: str) -> None:
    assert [play["passed"] for play in played[name]] == [True], played[name]
