"""A newer version's migrations while the stack runs: nobody is refused for long, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from harness.stack import RunningStack
from harness.tests.traffic import Traffic, converges, devices_of, people

pytestmark = [pytest.mark.heavy, pytest.mark.stack]

LONGEST = 3.0
"""Seconds that somebody may wait for an answer meanwhile."""

NEWER = {
    "settings.py": """
        from stack.config.settings import *

        INSTALLED_APPS = [*INSTALLED_APPS, "newer.notes.apps.Notes"]
    """,
    "notes/apps.py": """
        from django.apps import AppConfig

        class Notes(AppConfig):
            name = "newer.notes"

            def ready(self):
                from newer.notes import live
    """,
    "notes/models.py": """
        from django.db import models

        class Note(models.Model):
            chat = models.ForeignKey("chat.Chat", on_delete=models.CASCADE)
            text = models.TextField()
    """,
    "notes/live.py": """
        from rest_framework import serializers

        from newer.notes.models import Note
        from stack import live

        class NoteSerializer(serializers.ModelSerializer):
            class Meta:
                model = Note
                fields = ("id", "chat", "text")

        live.register(Note, name="note", serializer=NoteSerializer, scope="chat:{chat_id}")
    """,
    "notes/migrations/0001_initial.py": """
        from django.db import migrations, models

        class Migration(migrations.Migration):
            initial = True
            dependencies = [("chat", "__latest__")]
            operations = [
                migrations.CreateModel(
                    "Note",
                    [
                        ("id", models.BigAutoField(primary_key=True)),
                        ("chat", models.ForeignKey("chat.Chat", on_delete=models.CASCADE)),
                        ("text", models.TextField()),
                    ],
                ),
                migrations.RunSQL(
                    "ALTER TABLE chat_chat ADD COLUMN topic text NOT NULL DEFAULT ''",
                    "ALTER TABLE chat_chat DROP COLUMN topic",
                ),
            ]
    """,
}


@pytest.fixture
def newer(tmp_path: Path, stack: RunningStack) -> Iterator[dict[str, str]]:
    """The environment of a newer version, which is rolled back afterwards."""
    for name in ("__init__.py", "notes/__init__.py", "notes/migrations/__init__.py"):
        (tmp_path / "newer" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "newer" / name).touch()
    for name, text in NEWER.items():
        lines = text.strip("\n").splitlines()
        (tmp_path / "newer" / name).write_text("\n".join(line[8:] for line in lines) + "\n")
    environment = {"PYTHONPATH": str(tmp_path), "DJANGO_SETTINGS_MODULE": "newer.settings"}
    try:
        yield environment
    finally:
        manage(stack, "migrate", "notes", "zero", environment=environment)
        manage(stack, "migrate")


def manage(stack: RunningStack, *arguments: str, environment: dict[str, str] | None = None) -> str:
    done = stack.manage(*arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def triggers_of(stack: RunningStack, table: str) -> int:
    with psycopg.connect(stack.direct["DATABASE_URL"]) as database:
        counted = database.execute("SELECT count(*) FROM pg_trigger WHERE tgname LIKE %s", [f"live_capture_{table}_%"])
        return int((counted.fetchone() or [0])[0])


def test_the_stack_goes_on_while_a_newer_version_migrates(stack: RunningStack, newer: dict[str, str]) -> None:
    with devices_of(stack, people(stack, 4)) as devices:
        with Traffic(stack, devices, seed=1) as traffic:
            traffic.goes_on(by=10, within=30, what="before the migration")
            since = traffic.since()
            said = manage(stack, "migrate", environment=newer)
            assert "notes.0001_initial... OK" in said
            traffic.goes_on(by=20, within=30, what="after the migration")
            # The version of before serves until it is replaced.
            for backend in stack.backends:
                assert httpx.get(f"{backend}/readyz", timeout=10).status_code == 200
            traffic.reaches(devices[0], within=10)
        assert triggers_of(stack, "notes_note") == 4
        asked = traffic.answers[since[0] :] + traffic.pages[since[1] :]
        assert {answer.outcome for answer in asked} == {200}
        assert max(answer.seconds for answer in asked) < LONGEST
        converges(stack, traffic, within=30)
