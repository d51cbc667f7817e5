"""LIVE_DATABASE_URL: what needs a database session of its own goes past the pooler."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from stack.config.environment import read_environment
from stack.config.settings.database import entry
from stack.config.tests.test_commands import ROOT, manage
from stack.config.tests.test_environment import DEVELOPMENT, refusal
from stack.live.direct import use_direct_database

WITHIN = 30.0


def url(*, session: str = "", database: str | None = None, port: int | None = None) -> str:
    """The test's database, or another one of its server; `session` is the name that it is to have there."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    if port is not None:
        parts = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}")
    path = f"/{database or connection.settings_dict['NAME']}"
    return urlunsplit(parts._replace(path=path, query=f"application_name={session}" if session else ""))


class TestEnvironment:
    def test_it_is_optional(self) -> None:
        found = read_environment(DEVELOPMENT)
        assert found.live_database is None
        assert found.live_retention == 86_400

    def test_it_is_an_entry_of_its_own(self) -> None:
        found = read_environment(DEVELOPMENT | {"LIVE_DATABASE_URL": "postgres://me:secret@127.0.0.2:6000/name"})
        assert found.live_database is not None
        assert (found.live_database["HOST"], found.live_database["PORT"]) == ("127.0.0.2", 6000)
        assert found.database["HOST"] == "127.0.0.1"
        assert "secret" not in repr(found)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("LIVE_DATABASE_URL", "mysql://me:secret@127.0.0.1/name"),
            ("LIVE_RETENTION", "a day"),
            ("LIVE_RETENTION", "-1"),
            ("LIVE_RETENTION", "0"),
        ],
    )
    def test_wrong_values_are_told_with_all_others(self, name: str, value: str) -> None:
        sentence = refusal(DEVELOPMENT | {name: value, "REDIS_URL": "x"})
        assert name in sentence
        assert "REDIS_URL" in sentence
        assert "secret" not in sentence

    def test_a_value_and_a_file_of_it_are_one_too_many(self, tmp_path: Path) -> None:
        file = tmp_path / "url"
        file.write_text("postgres://me:secret@127.0.0.1/name")
        both = {"LIVE_DATABASE_URL": "postgres://a@b/c", "LIVE_DATABASE_URL_FILE": str(file)}
        assert "LIVE_DATABASE_URL and LIVE_DATABASE_URL_FILE are both set" in refusal(DEVELOPMENT | both)
        del both["LIVE_DATABASE_URL"]
        found = read_environment(DEVELOPMENT | both)
        assert found.live_database is not None
        assert found.live_database["PASSWORD"] == "secret"

    def test_behind_a_pooler_no_cursor_of_the_server_is_used(self) -> None:
        database = read_environment(DEVELOPMENT).database
        assert entry(database, pooled_elsewhere=True)["DISABLE_SERVER_SIDE_CURSORS"]
        assert not entry(database, pooled_elsewhere=False)["DISABLE_SERVER_SIDE_CURSORS"]

    def test_without_it_nothing_is_changed(self) -> None:
        before = dict(connection.settings_dict)
        use_direct_database()
        assert connection.settings_dict == before


@contextmanager
def relay(**environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "live", "relay"],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WITHIN)
        assert process.stdout is not None
        process.stdout.close()


def sessions() -> dict[str, bool]:
    """The named sessions of relays, and whether they hold the lock of the lead."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT application_name, bool_or(EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted"
            " AND l.locktype = 'advisory')) FROM pg_stat_activity a"
            " WHERE datname = current_database() AND application_name IN ('pooled', 'direct') GROUP BY 1"
        )
        return dict(cursor.fetchall())


@pytest.mark.usefixtures("transactional_db")
class TestCommands:
    def test_the_relay_leads_in_a_session_of_its_own(self) -> None:
        with relay(DATABASE_URL=url(session="pooled"), LIVE_DATABASE_URL=url(session="direct")) as process:
            deadline = time.monotonic() + WITHIN
            while not sessions().get("direct"):
                assert process.poll() is None
                assert time.monotonic() < deadline, "no relay leads"
                time.sleep(0.05)
            assert sessions() == {"direct": True}

    @pytest.mark.parametrize("arguments", [("live", "install"), ("migrate", "--check")])
    def test_a_pooler_that_is_away_is_not_needed(self, arguments: tuple[str, ...]) -> None:
        done = manage(*arguments, DATABASE_URL=url(port=1), LIVE_DATABASE_URL=url())
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("arguments", [("live", "status"), ("migrate",)])
    def test_another_database_is_refused(self, arguments: tuple[str, ...]) -> None:
        done = manage(*arguments, DATABASE_URL=url(), LIVE_DATABASE_URL=url(database="postgres"))
        assert done.returncode == 1
        assert "LIVE_DATABASE_URL leads to another database than DATABASE_URL" in done.stderr
        assert str(connection.settings_dict["PASSWORD"]) not in done.stderr + done.stdout

    def test_requests_keep_theirs(self) -> None:
        done = manage("check", "--database", "default", DATABASE_URL=url(), LIVE_DATABASE_URL=url(port=1))
        assert done.returncode == 0, done.stderr
