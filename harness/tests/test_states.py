"""Named states: cloned, restored, seen to be outdated, rebuilt."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from harness.errors import StateFailed
from harness.resources import KeepState
from harness.stack import RunningStack, states
from harness.stack.named import STATES, Carried
from harness.stack.plan import code_fingerprint

KEEP = "kept"


@pytest.fixture
def state(servers: RunningStack) -> Iterator[KeepState]:
    """A database with one row, kept as a state."""
    url = states.with_database(servers.environment["DATABASE_URL"], "app")
    databases = ("app", "app_next", "app_old", *(f"app_{name}" for name in STATES), "app_kept")
    databases += ("app_kept_draft", "app_kept_next", "app_busy_draft", "app_empty_next")
    with psycopg.connect(servers.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE app")
        yield KeepState(url=url, template=KEEP, fingerprint="one")
        left = {row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^app'")}
        states.drop(connection, *databases)
    assert left <= {"app", "app_kept", "app_busy"}, "a draft was left"


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def restore(state: KeepState, carried: Sequence[Carried] = ()) -> None:
    states.restore(state, carried=carried)
    states.discard_old(state)


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
        restore(state)
        assert execute(state.url, "SELECT name FROM people") == [("alice",)]


def test_a_restore_ends_open_connections_and_the_next_one_works(state: KeepState) -> None:
    fill(state.url)
    states.keep(state)
    with psycopg.connect(state.url) as connection:
        connection.execute("SELECT * FROM people FOR UPDATE")
        restore(state)
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
            restore(state)
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
        restore(state)
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
    restore(newer)
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
        restore(state)
    assert execute(state.url, "SELECT name FROM people") == [("alice",)]


def test_a_state_may_start_from_another_one(state: KeepState) -> None:
    fill(state.url)
    states.keep(state)
    more = replace(state, template="busy")

    def add(url: str) -> None:
        execute(url, "INSERT INTO people VALUES ('bob')")

    states.rebuild(more, add, base=KEEP)
    restore(more)
    assert execute(state.url, "SELECT name FROM people ORDER BY name") == [("alice",), ("bob",)]
    restore(state)
    assert execute(state.url, "SELECT name FROM people") == [("alice",)]


def test_a_state_that_is_made_is_kept_without_what_was_deleted_in_it(state: KeepState) -> None:
    def prepare(url: str) -> None:
        execute(url, "CREATE TABLE passing AS SELECT repeat('x', 1000) AS text FROM generate_series(1, 5000)")
        execute(url, "DELETE FROM passing")

    states.rebuild(state, prepare)
    restore(state)
    assert execute(state.url, "SELECT pg_relation_size('passing')") == [(0,)]


def test_drafts_of_every_state_are_tidied(state: KeepState) -> None:
    for name in ("app_busy_draft", "app_empty_next", "app_old", "app_kept_draft"):
        execute(states.with_database(state.url, "stack"), f"CREATE DATABASE {name}")
    states.tidy(state)
    left = execute(states.with_database(state.url, "stack"), "SELECT datname FROM pg_database WHERE datname ~ '^app'")
    assert left == [("app",)]


SIGNED_IN = Carried(table="session", owner="person", owners="person", same=("id", "password", "active"))


def people(url: str, *rows: str, columns: str = "id int PRIMARY KEY, password text, active bool") -> None:
    execute(url, f"CREATE TABLE person ({columns})")
    execute(url, "CREATE TABLE session (key text PRIMARY KEY, person int, expires timestamptz)")
    for row in rows:
        execute(url, f"INSERT INTO person VALUES ({row})")


def sign_in(url: str, *ids: int) -> None:
    for number in ids:
        execute(url, f"INSERT INTO session VALUES ('key {number}', {number}, '2030-01-01 12:00+00')")


def test_sessions_of_those_who_stay_are_carried_and_of_nobody_else(state: KeepState) -> None:
    people(state.url, "1, 'same', true", "2, 'it''s \\ secret', true", "3, 'old', true", "4, 'same', false")
    states.keep(state)
    execute(state.url, "UPDATE person SET password = 'new' WHERE id = 3")
    execute(state.url, "UPDATE person SET active = true WHERE id = 4")
    execute(state.url, "INSERT INTO person VALUES (5, 'stranger', true)")
    sign_in(state.url, 1, 2, 3, 4, 5)
    before = execute(state.url, "SELECT key, person, expires FROM session WHERE person <= 2 ORDER BY key")
    for _ in range(2):
        restore(state, [SIGNED_IN])
        assert execute(state.url, "SELECT key, person, expires FROM session ORDER BY key") == before


def test_without_people_nothing_is_carried(state: KeepState) -> None:
    people(state.url)
    states.keep(state)
    execute(state.url, "INSERT INTO person VALUES (1, 'x', true)")
    sign_in(state.url, 1)
    restore(state, [SIGNED_IN])
    assert execute(state.url, "SELECT key FROM session") == []


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE session ADD COLUMN ip text", "DROP TABLE session", "ALTER TABLE person DROP COLUMN active"],
)
def test_tables_of_other_code_are_not_carried_and_stop_nothing(state: KeepState, change: str) -> None:
    people(state.url, "1, 'x', true")
    states.keep(state)
    sign_in(state.url, 1)
    execute(state.url, change)
    restore(state, [SIGNED_IN])
    assert execute(state.url, "SELECT key FROM session") == []


def test_who_writes_while_sessions_are_carried_is_ended_and_not_half_carried(state: KeepState) -> None:
    people(state.url, "1, 'x', true")
    states.keep(state)
    sign_in(state.url, 1)
    with psycopg.connect(state.url) as writer:
        writer.execute("DELETE FROM session")
        restore(state, [SIGNED_IN])
        with pytest.raises(psycopg.OperationalError):
            writer.commit()
    assert execute(state.url, "SELECT key FROM session") == [("key 1",)]


def test_resets_take_turns(state: KeepState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_TURN_WITHIN", 1)
    with states.alone(state.url):
        with pytest.raises(StateFailed, match="Another reset"), states.alone(state.url):
            pytest.fail("two at once")
        other = replace(state, url=states.with_database(state.url, "other"))
        with states.alone(other.url):
            pass
    with states.alone(state.url):
        pass


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
