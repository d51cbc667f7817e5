"""A database that still takes what is sent and answers nothing: who waits gives up in time, and is well again later."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connection
from psycopg_pool import PoolTimeout

from stack.config.postgres import pool as pools
from stack.config.postgres.connection import Connection, Silent
from stack.config.postgres.pool import Pool

ROOT = Path(__file__).resolve().parents[3]


class Line:
    """Carries bytes between clients and the server, and swallows them while it is mute."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.port = self._listener.getsockname()[1]
        self.mute = threading.Event()
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
                self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.mute.is_set():
                    sink.sendall(data)


@pytest.fixture
def line() -> Iterator[Line]:
    server = urlsplit(os.environ["DATABASE_URL"])
    assert server.hostname is not None
    made = Line(server.hostname, server.port or 5432)
    yield made
    made.close()


@pytest.fixture
def url(line: Line) -> str:
    parts = urlsplit(os.environ["DATABASE_URL"])
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{line.port}"))


@pytest.fixture
def pool(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    monkeypatch.setattr(pools, "ANSWERS_WITHIN", 0.3)
    options = {"autocommit": True, "connect_timeout": 2}
    with Pool(url, kwargs=options, min_size=3, max_size=3, timeout=1.0, reconnect_timeout=2.0) as made:
        made.wait()
        yield made


def works(pool: Pool) -> bool:
    with pool.connection() as given:
        return given.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_is_given_up_in_time(url: str) -> None:
    with Connection.connect(url, autocommit=True) as connection, Connection.giving_up_after(0.3):
        began = time.monotonic()
        with pytest.raises(Silent, match=r"has not answered within 0\.3 s"):
            connection.execute("SELECT pg_sleep(30)")
        assert 0.3 <= time.monotonic() - began < 3
        assert connection.closed
    assert Connection.patience is None


def test_without_a_limit_it_may_take_its_time(url: str) -> None:
    with Connection.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT pg_sleep(0.4)").fetchone() is not None


def test_an_error_of_the_server_is_told_as_it_is(url: str) -> None:
    with Connection.connect(url, autocommit=True) as connection, Connection.giving_up_after(5):
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SET statement_timeout = 100; SELECT pg_sleep(30)")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pool_behind_a_silent_server_says_so_and_is_well_afterwards(pool: Pool, line: Line) -> None:
    assert works(pool)
    line.mute.set()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(PoolTimeout):
            works(pool)
        assert time.monotonic() - began < 3
    line.mute.clear()
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(PoolTimeout):
            if all(works(pool) for _ in range(6)):
                return
        assert time.monotonic() < deadline, "it has not recovered"


@pytest.mark.usefixtures("transactional_db")
def test_a_relay_says_so_and_leads_again(line: Line, url: str) -> None:
    migrated = f"{url.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    program = (
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "from stack.live import relay\n"
        "relay._ANSWERED_WITHIN = 0.5\n"
        "call_command('live', 'relay')"
    )
    environment = {**os.environ, "DATABASE_URL": migrated, "DJANGO_SETTINGS_MODULE": "stack.config.settings"}
    environment.pop("LIVE_DATABASE_URL", None)
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as relay:
        assert relay.stderr is not None
        try:
            until(relay.stderr, "relay: leading")
            line.mute.set()
            until(relay.stderr, "database lost, trying again: the database has not answered within 0.5 s")
            line.mute.clear()
            until(relay.stderr, "relay: leading")
        finally:
            relay.kill()


def until(lines: Iterable[str], said: str, *, within: float = 30.0) -> None:
    found = threading.Event()
    seen: list[str] = []

    def read() -> None:
        for text in lines:
            seen.append(text)
            if said in text:
                found.set()
                return

    threading.Thread(target=read, daemon=True).start()
    assert found.wait(within), "".join(seen)
