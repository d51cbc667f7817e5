"""The connection pool: dead connections are replaced at once, and a database that is away is found when it is back."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connection
from psycopg import sql
from psycopg_pool import PoolTimeout

from stack.config.postgres.connection import Connection
from stack.config.postgres.pool import Pool

SOON = 3.0
"""Seconds: less than psycopg's own pool takes to replace one dead connection and the next, and the next."""
ATTEMPTS, WITHIN = 6, 5.0
"""So many attempts in so many seconds, where psycopg's own makes three."""


@pytest.fixture
def server() -> Iterator[psycopg.Connection]:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as made:
        yield made


@pytest.fixture
def database(server: psycopg.Connection) -> Iterator[str]:
    name = f"pool_{secrets.token_hex(4)}"
    server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    yield name
    for left in (name, f"{name}_away"):
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(left)))


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}"))
    with Pool(url, kwargs={"autocommit": True}, min_size=6, max_size=6, timeout=5.0) as made:
        made.wait()
        yield made


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released whenever an attempt to connect has failed."""
    failed, connect = threading.Semaphore(0), Connection.connect

    def counted(*args: Any, **kwargs: Any) -> Any:
        try:
            return connect(*args, **kwargs)
        except psycopg.OperationalError:
            failed.release()
            raise

    monkeypatch.setattr(Connection, "connect", counted)
    return failed


def end_sessions(server: psycopg.Connection, database: str) -> None:
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])


def rename(server: psycopg.Connection, old: str, new: str) -> None:
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def works(pool: Pool) -> bool:
    with pool.connection() as given:
        return given.execute("SELECT 1").fetchone() == (1,)


def test_all_connections_dead_cost_no_time(pool: Pool, server: psycopg.Connection, database: str) -> None:
    end_sessions(server, database)
    began = time.monotonic()
    assert all(works(pool) for _ in range(12))
    assert time.monotonic() - began < SOON


def test_a_database_that_is_away_for_a_moment_is_found_when_it_is_back(
    pool: Pool, server: psycopg.Connection, database: str, failures: threading.Semaphore
) -> None:
    end_sessions(server, database)
    rename(server, database, f"{database}_away")
    with ThreadPoolExecutor(1) as asking:
        found = asking.submit(works, pool)
        assert failures.acquire(timeout=5)
        rename(server, f"{database}_away", database)
        began = time.monotonic()
        assert found.result(10)
    assert time.monotonic() - began < SOON


def test_the_first_attempts_follow_each_other_quickly(database: str, failures: threading.Semaphore) -> None:
    url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}_away"))
    deadline = time.monotonic() + WITHIN
    with Pool(url, min_size=1, max_size=1):
        for _ in range(ATTEMPTS):
            assert failures.acquire(timeout=max(0.0, deadline - time.monotonic()))


def test_a_database_that_stays_away_is_an_error_in_time(pool: Pool, server: psycopg.Connection, database: str) -> None:
    end_sessions(server, database)
    rename(server, database, f"{database}_away")
    began = time.monotonic()
    with pytest.raises(PoolTimeout):
        pool.getconn(timeout=0.5)
    assert time.monotonic() - began < SOON


def test_it_closes_at_once_while_its_database_is_away(server: psycopg.Connection, database: str) -> None:
    url = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}_away"))
    made = Pool(url, min_size=6, max_size=6, open=True)
    with pytest.raises(PoolTimeout):
        made.getconn(timeout=0.2)
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < SOON


def test_a_connection_in_the_midst_of_something_goes_back(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_connection: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "check_connection", interrupted)
    for _ in range(10):
        with pytest.raises(KeyboardInterrupt):
            pool.getconn(timeout=1)
    monkeypatch.undo()
    assert works(pool)


@pytest.mark.django_db
def test_django_uses_it() -> None:
    assert isinstance(connection.pool, Pool)  # type: ignore[attr-defined]  # only Postgres has one
    assert connection.vendor == "postgresql"
