"""The embedded servers themselves: real Postgres, real Valkey."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from harness.errors import DiskFull, NotReady, PlaceUnusable, ServiceDidNotStart
from harness.folders import CHECKOUT, Folders
from harness.services import launch
from harness.services.launch import Launch
from harness.stack import Progress, RunningStack, StackOptions, start_stack
from harness.stack.plan import SERVICES
from harness.stack.start import _warn

KEPT = StackOptions(services="embedded", resources=SERVICES, durable=True)


def query(stack: RunningStack, statement: str) -> object:
    with psycopg.connect(stack.environment["DATABASE_URL"], autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def cache(stack: RunningStack) -> redis.Redis:
    return redis.Redis.from_url(stack.environment["REDIS_URL"], decode_responses=True)


def without_password(url: str) -> str:
    before, _, after = url.partition("://")
    return f"{before}://{after.rsplit('@')[-1]}"


def test_both_answer_to_the_environment_of_the_stack(servers: RunningStack) -> None:
    assert query(servers, "SELECT current_database()") == "stack"
    with cache(servers) as client:
        assert client.ping()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("server_encoding", "UTF8"),
        ("max_connections", "200"),
        ("TimeZone", "UTC"),
        ("fsync", "off"),
        ("synchronous_commit", "on"),
    ],
)
def test_settings_of_throwaway_postgres(servers: RunningStack, setting: str, value: str) -> None:
    assert query(servers, f"SELECT current_setting('{setting}')") == value


def test_the_role_may_create_databases_and_no_more(servers: RunningStack) -> None:
    query(servers, "CREATE DATABASE of_a_test")
    query(servers, "DROP DATABASE of_a_test")
    assert query(servers, "SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user") is False


def test_nobody_gets_in_without_the_password(servers: RunningStack) -> None:
    url = without_password(servers.environment["DATABASE_URL"])
    for user in ("stack", "postgres"):
        for password in ("", "wrong"):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(url, user=user, password=password)
    with (
        redis.Redis.from_url(without_password(servers.environment["REDIS_URL"])) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_no_process_shows_a_password_and_none_listens_beyond_loopback(servers: RunningStack) -> None:
    secrets = [servers.environment[name].split("@")[0].rsplit(":", 1)[1] for name in ("DATABASE_URL", "REDIS_URL")]
    supervisor = psutil.Process(servers.snapshot().supervisor)
    family = [supervisor, *supervisor.children(recursive=True)]
    assert len(family) >= 4
    for process in family:
        assert not any(secret in argument for secret in secrets for argument in process.cmdline())
    listening = {
        connection.laddr.ip
        for status in servers.resources()
        for connection in psutil.Process(status.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_servers_never_run_as_root(servers: RunningStack) -> None:
    for status in servers.resources():
        assert psutil.Process(status.pid).uids().effective == (os.geteuid() or data_of(servers).stat().st_uid)
        assert psutil.Process(status.pid).uids().effective != 0


def data_of(stack: RunningStack) -> Path:
    return Path(str(query(stack, "SHOW data_directory")))


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_killed_server_comes_back_at_the_same_address(servers: RunningStack, name: str) -> None:
    before = servers.resource(name)
    servers.kill(name, signal.SIGKILL)
    assert servers.resource(name).label == "exited (-9)"
    servers.start(name)
    after = servers.resource(name)
    assert after.pid != before.pid
    assert after.url == before.url
    assert query(servers, "SELECT 1") == 1
    with cache(servers) as client:
        assert client.ping()


def test_throwaway_data_goes_with_the_run(folders: Folders) -> None:
    with start_stack(StackOptions(services="embedded", resources=SERVICES), folders=folders) as stack:
        data = data_of(stack)
        assert stack.run_id in str(data)
        assert data.exists()
    assert not data.parent.exists()


@pytest.mark.stack
def test_kept_data_survives_and_is_durable(folders: Folders) -> None:
    with start_stack(KEPT, folders=folders) as stack:
        assert query(stack, "SHOW fsync") == "on"
        query(stack, "CREATE TABLE kept AS SELECT 42 AS answer")
        with cache(stack) as client:
            client.set("kept", "42")
        secret = stack.environment["SECRET_KEY"]
    with start_stack(KEPT, folders=folders) as stack:
        assert query(stack, "SELECT answer FROM kept") == 42
        with cache(stack) as client:
            assert client.get("kept") == "42"
        assert stack.environment["SECRET_KEY"] == secret


@pytest.mark.stack
def test_kept_data_that_is_in_use_is_refused(folders: Folders) -> None:
    with start_stack(KEPT, folders=folders) as stack:
        process = stack.resource("postgres").pid
        with pytest.raises(Exception, match=f"in use by process {process}") as caught:
            start_stack(KEPT, folders=folders)
        assert type(caught.value).__name__ == "DataUnusable"
        assert query(stack, "SELECT 1") == 1


def test_a_url_that_nobody_answers_at_is_one_sentence(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:secret@127.0.0.1:1/d")
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    monkeypatch.setattr("harness.services.url.ANSWER_WITHIN", 1.0)
    with pytest.raises(NotReady, match="redis was not ready") as caught:
        start_stack(StackOptions(services="url", resources=frozenset({"redis"})), folders=folders)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_servers_that_run_elsewhere_are_used_and_left_alone(
    folders: Folders, servers: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(name, servers.environment[name])
    told: list[Progress] = []
    options = StackOptions(services="auto", resources=SERVICES)
    with start_stack(options, on_progress=told.append, folders=folders) as stack:
        (warning,) = (progress.warning for progress in told if progress.warning)
        assert warning == f"Using the database of DATABASE_URL: {without_password(stack.environment['DATABASE_URL'])}"
        assert stack.services == ("url", "url")
        assert stack.environment["DATABASE_URL"] == servers.environment["DATABASE_URL"]
        with pytest.raises(Exception, match="runs elsewhere"):
            stack.kill("postgres")
    assert query(servers, "SELECT 1") == 1


def test_seeding_a_database_of_others_is_announced() -> None:
    sentence = _warn("postgres://db.example:5432/app", None)
    assert sentence.startswith("Using the database of DATABASE_URL: postgres://db.example:5432/app.")
    assert "migrated and seeded with development people" in sentence


def launched(folders: Folders, data: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    spec = Launch("redis", str(data), "/nowhere", 1, True, str(folders.cache), str(CHECKOUT))
    monkeypatch.setattr(sys, "argv", ["launch", spec.to_argument()])
    return spec


def test_a_full_disk_ends_the_launcher_with_its_code_and_a_sentence(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    launched(folders, tmp_path / "data", monkeypatch)

    def full(spec: Launch) -> list[str]:
        with open("/dev/full", "w", buffering=1) as file:  # noqa: PTH123 - a device, not a path of ours
            file.write("no room\n")
        return []

    monkeypatch.setattr(launch, "prepare", full)
    with pytest.raises(SystemExit) as caught:
        launch.main()
    assert caught.value.code == DiskFull.exit_code
    assert "No space left on device" in capsys.readouterr().err


def test_a_tool_that_fails_is_quoted(tmp_path: Path) -> None:
    from harness.services.postgres import make_cluster

    source = tmp_path / "template"
    source.mkdir()
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "postgres").write_text("#!/bin/sh\necho FATAL: not today\nexit 1\n")
    (programs / "postgres").chmod(0o755)
    with pytest.raises(ServiceDidNotStart, match="not today"):
        make_cluster(tmp_path / "data", source, programs, None, password="x", durable=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "template"]


def test_a_place_that_can_not_be_used_ends_the_launcher_with_its_code_and_a_sentence(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    launched(folders, tmp_path / "file" / "data", monkeypatch)
    with pytest.raises(SystemExit) as caught:
        launch.main()
    assert caught.value.code == PlaceUnusable.exit_code
    assert "file/data cannot be used: Not a directory." in capsys.readouterr().err
