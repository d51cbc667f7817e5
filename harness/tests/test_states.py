"""Named states: cloned, restored, seen to be outdated, rebuilt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from harness.errors import StateFailed
from harness.resources import KeepState
from harness.stack import RunningStack, states
from harness.stack.plan import code_fingerprint

KEEP = "kept"


@pytest.fixture
def state(servers: RunningStack) -> Iterator[KeepState]:
    """A database with one row, kept as a state."""
    url = states.with_database(servers.environment["DATABASE_URL"], "app")
    databases = ("app", "app_next", "app_old", "app_kept", "app_kept_draft", "app_kept_next")
    with psycopg.connect(servers.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE app")
        yield KeepState(url=url, template=KEEP, fingerprint="one")
        left = {row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^app'")}
        for name in databases:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    assert left <= {"app", "app_kept"}, "a draft was left"


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def fill(url: str) -> None:
    execute(url, "CREATE TABLE people AS SELECT 'alice' AS name")


def test_a_restored_state_is_what_was_kept(state: KeepState) -> None:
    assert states.is_empty(state.url)
    fill(state.url)
    assert not states.is_empty(state.url)
    assert not states.is_current(state)
    states.keep(state)
    assert states.is_current(state)
    execute(state.url, "INSERT INTO people VALUES ('bob')")
    for _ in range(2):
        execute(state.url, "UPDATE people SET name = 'changed'")
        states.restore(state)
        assert execute(state.url, "SELECT name FROM people") == [("alice",)]


def test_a_restore_ends_open_connections_and_the_next_one_works(state: KeepState) -> None:
    fill(state.url)
    states.keep(state)
    with psycopg.connect(state.url) as connection:
        connection.execute("SELECT * FROM people FOR UPDATE")
        states.restore(state)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert execute(state.url, "SELECT name FROM people") == [("alice",)]


def test_clients_that_come_back_at_once_do_not_stop_a_restore(state: KeepState) -> None:
    fill(state.url)
    states.keep(state)
    done, came = threading.Event(), threading.Event()

    def insist() -> None:
        while not done.is_set():
            with suppress(psycopg.Error), psycopg.connect(state.url, autocommit=True) as connection:
                connection.execute("SELECT 1")
                came.set()
                connection.execute("SELECT pg_sleep(60)")

    clients = [threading.Thread(target=insist) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        assert came.wait(10)
        execute(states.with_database(state.url, "stack"), "SELECT 1")
        for _ in range(3):
            states.restore(state)
    finally:
        done.set()
        ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app'"
        while any(client.is_alive() for client in clients):
            execute(states.with_database(state.url, "stack"), ending)
            clients[0].join(0.05)
    assert execute(state.url, "SELECT name FROM people") == [("alice",)]


@pytest.mark.parametrize("reached", ["CREATE DATABASE", "RENAME", "DROP DATABASE"])
def test_a_restore_that_is_killed_anywhere_keeps_a_whole_database(
    state: KeepState, reached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(state.url)
    states.keep(state)
    execute(state.url, "UPDATE people SET name = 'of the developer'")
    run, done = states._execute, []

    def dies(connection: psycopg.Connection[object], statement: LiteralString, *names: str) -> None:
        run(connection, statement, *names)
        done.append(statement)
        if reached in statement and "CREATE DATABASE" in "".join(done):
            raise KeyboardInterrupt

    monkeypatch.setattr(states, "_execute", dies)
    with pytest.raises(KeyboardInterrupt):
        states.restore(state)
    monkeypatch.undo()
    (row,) = execute(state.url, "SELECT name FROM people")
    assert row in [("of the developer",), ("alice",)]
    states.tidy(state)
    left = execute(states.with_database(state.url, "stack"), "SELECT datname FROM pg_database WHERE datname ~ '^app'")
    assert sorted(left) == [("app",), ("app_kept",)]


def test_other_code_makes_a_state_outdated_until_it_is_rebuilt(state: KeepState) -> None:
    fill(state.url)
    states.keep(state)
    newer = replace(state, fingerprint="two")
    assert not states.is_current(newer)
    execute(state.url, "INSERT INTO people VALUES ('of the developer')")
    states.rebuild(newer, fill)
    assert states.is_current(newer)
    states.restore(newer)
    assert execute(state.url, "SELECT name FROM people") == [("alice",)]


def test_a_rebuild_that_fails_leaves_state_and_data(state: KeepState) -> None:
    fill(state.url)
    states.keep(state)

    def failing(url: str) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        states.rebuild(replace(state, fingerprint="two"), failing)
    assert states.is_current(state)
    assert execute(state.url, "SELECT name FROM people") == [("alice",)]


def test_a_restore_of_what_was_never_kept_keeps_the_data(state: KeepState) -> None:
    fill(state.url)
    with pytest.raises(StateFailed, match="app_kept"):
        states.restore(state)
    assert execute(state.url, "SELECT name FROM people") == [("alice",)]


def test_the_fingerprint_sees_code_and_no_tests(tmp_path: Path) -> None:
    (tmp_path / "stack" / "app" / "tests").mkdir(parents=True)
    code = tmp_path / "stack" / "app" / "models.py"
    code.write_text("a = 1")
    first = code_fingerprint(tmp_path)
    (tmp_path / "stack" / "app" / "tests" / "test_a.py").write_text("a = 1")
    assert code_fingerprint(tmp_path) == first
    code.write_text("a = 2")
    second = code_fingerprint(tmp_path)
    assert second != first
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "stack.txt").write_text("django==5.2")
    assert code_fingerprint(tmp_path) != second
