"""The project as its commands see it: settings, schema, migrations, and trouble in one sentence."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[3]


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py as a user does; an empty value takes a variable away."""
    merged = {name: value for name, value in (os.environ | environment).items() if value}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=merged,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_production_settings_pass_the_deployment_checks() -> None:
    done = manage(
        "check",
        "--deploy",
        "--fail-level",
        "WARNING",
        STACK_ENV="production",
        SECRET_KEY=secrets.token_urlsafe(50),
        ALLOWED_HOSTS="example.org",
        APP_ORIGINS="https://example.org",
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


def test_missing_variables_are_one_sentence() -> None:
    done = manage("check", STACK_ENV="", REDIS_URL="")
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.startswith("manage.py: Set STACK_ENV and REDIS_URL in the environment")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["prepare", "seed"])
def test_a_database_that_is_away_is_one_sentence(command: str) -> None:
    done = manage(command, DATABASE_URL="postgres://user:hidden@127.0.0.1:1/name")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "The database of DATABASE_URL can't be" in done.stderr
    assert "hidden" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.django_db
def test_migrations_are_complete() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_schema() -> None:
    out = StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    schema = yaml.safe_load(out.getvalue())
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            answers = operation["responses"]
            bad = {code: answer for code, answer in answers.items() if not code.startswith("2")}
            assert "default" in bad, (path, method)
            for code, answer in bad.items():
                assert answer["content"] == {"application/problem+json": problem}, (path, method, code)
    assert set(schema["components"]["schemas"]["Problem"]["required"]) == {
        "type",
        "title",
        "status",
        "detail",
    }
    send = schema["paths"]["/api/chats/{chat_id}/messages"]["post"]["responses"]
    assert set(send) >= {"200", "201", "400", "401", "403", "404", "413", "415"}
    assert schema["paths"]["/api/session"]["get"]["security"] == [{"session": []}, {}]
