"""What `prepare` does to the database that DATABASE_URL names, and what it leaves alone."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from stack.config.tests.test_commands import ROOT, manage

PRODUCTION = {
    "STACK_ENV": "production",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "example.org",
    "APP_ORIGINS": "https://example.org",
}


class Database:
    """A database of this test's own, empty at first."""

    def __init__(self, url: str) -> None:
        self.url = url

    def execute(self, *statements: LiteralString) -> None:
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement)

    def values(self, query: LiteralString) -> list[object]:
        with psycopg.connect(self.url) as connection:
            return [value for (value,) in connection.execute(query).fetchall()]

    def tables(self) -> list[object]:
        return self.values("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")


@pytest.fixture
def database() -> Iterator[Database]:
    server = os.environ["DATABASE_URL"]
    name = f"prepare_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        yield Database(urlunsplit(urlsplit(server)._replace(path=f"/{name}")))
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_another_applications_database_is_left_alone(database: Database) -> None:
    # Much of it looks like ours: any Django project has these.
    database.execute(
        "CREATE TABLE django_migrations (id bigint, app text, name text, applied timestamptz)",
        "CREATE TABLE auth_group (id int, name text)",
        "CREATE TABLE shop_order (id int)",
    )
    before = database.tables()
    done = manage("prepare", DATABASE_URL=database.url)
    assert done.returncode == 1
    assert "holds another application's tables, such as shop_order: name an empty database" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert database.tables() == before


def test_an_interrupted_preparation_goes_on_and_preparing_again_is_harmless(database: Database, tmp_path: Path) -> None:
    assert manage("migrate", "accounts", DATABASE_URL=database.url).returncode == 0
    assert "live_head" not in database.tables()
    file = tmp_path / "users.json"
    for new in (11, 0):
        done = manage("prepare", "--users", str(file), DATABASE_URL=database.url, STACK_ENV="development")
        assert done.returncode == 0, done.stderr
        assert f"Seeded: {new} new users" in done.stdout
        assert {user["password"] for user in json.loads(file.read_text())} >= {"alice-demo", "admin-demo"}
        # Tables that somebody puts beside ours don't make it another database.
        database.execute("CREATE TABLE IF NOT EXISTS notes (id int)")


def test_production_gets_no_test_users_and_other_peoples_databases_neither(database: Database, tmp_path: Path) -> None:
    done = manage("prepare", DATABASE_URL=database.url, **PRODUCTION)
    assert done.returncode == 0, done.stderr
    assert "Seeded" not in done.stdout
    assert database.values("SELECT username FROM accounts_user") == []
    done = manage("prepare", "--users", str(tmp_path / "users.json"), DATABASE_URL=database.url, **PRODUCTION)
    assert done.returncode == 1
    assert "prepare makes no users: leave out --users, or use seed --users FILE" in done.stderr
    # Made by people in production; then somebody names this database at home.
    root = {"DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe(20), "DATABASE_URL": database.url, **PRODUCTION}
    made = manage("createsuperuser", "--noinput", "--username", "root", "--email", "root@real.example", **root)
    assert made.returncode == 0, made.stderr
    applied = "DELETE FROM django_migrations WHERE app = 'live' RETURNING app || name"
    database.values(applied)
    done = manage("prepare", DATABASE_URL=database.url, STACK_ENV="development")
    assert done.returncode == 1
    assert "users whom the seed did not make" in done.stderr
    assert done.stderr.count("\n") == 1
    assert database.values("SELECT username FROM accounts_user") == ["root"]
    # Nothing was migrated either.
    assert database.values("SELECT app FROM django_migrations WHERE app = 'live'") == []


def test_a_relay_waits_for_the_migrations_and_says_so_once(database: Database) -> None:
    with subprocess.Popen(
        [sys.executable, "manage.py", "live", "relay"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as relay:
        try:
            assert relay.stdout is not None
            lines = iter(relay.stdout)
            before = [next(lines)]
            while "waiting for the migrations" not in before[-1]:
                before.append(next(lines))
            assert manage("migrate", DATABASE_URL=database.url).returncode == 0
            after = [next(lines)]
            while "relay: leading" not in after[-1]:
                after.append(next(lines))
        finally:
            relay.terminate()
    said = "".join(before + after)
    assert said.count("waiting for the migrations") == 1, said
    assert "Traceback" not in said
