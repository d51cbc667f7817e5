"""What would make the engine miss a change is found by `check` and by /readyz, and mended by `live install`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.checks import Error, run_checks
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from stack.chat.models import Chat
from stack.config import health
from stack.live import installing, process, registry, triggers
from stack.live.readiness import REMEMBERED, Readiness
from stack.live.registry import Entity, LiveConfigurationError

pytestmark = pytest.mark.usefixtures("transactional_db")

UPDATE = "live_capture_chat_chat_update"
BREAKS: dict[str, tuple[str, str]] = {
    "dropped": (f"DROP TRIGGER {UPDATE} ON chat_chat", "is missing"),
    "disabled": (f"ALTER TABLE chat_chat DISABLE TRIGGER {UPDATE}", "is stale or disabled"),
    "not for replicas": (f"ALTER TABLE chat_chat ENABLE TRIGGER {UPDATE}", "is stale or disabled"),
    "another function": (
        f"CREATE OR REPLACE FUNCTION {UPDATE}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "is stale or disabled",
    ),
    "another path": (f"ALTER FUNCTION {UPDATE}() SET search_path TO pg_temp, public", "is stale or disabled"),
    "no path": (f"ALTER FUNCTION {UPDATE}() RESET ALL", "is stale or disabled"),
    "more settings": (f"ALTER FUNCTION {UPDATE}() SET work_mem TO '64kB'", "is stale or disabled"),
    "of yesterday": (f"COMMENT ON TRIGGER {UPDATE} ON chat_chat IS 'of yesterday'", "is stale or disabled"),
    "renamed": (f"ALTER TRIGGER {UPDATE} ON chat_chat RENAME TO live_capture_other", "is missing"),
}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(health, "readiness", Readiness(clock))
    monkeypatch.setattr(process, "status", lambda: {"ready": True})
    return clock


@pytest.fixture(autouse=True)
def mended(transactional_db: None) -> Iterator[None]:
    yield
    installing.install()


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def readyz() -> tuple[int, str]:
    response = Client().get("/readyz")
    return response.status_code, response.json()["checks"]["triggers"]


def found() -> list[str]:
    return [m.msg for m in run_checks(databases=["default"]) if isinstance(m, Error)]


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_trigger_makes_the_process_unready_until_it_is_mended(clock: Clock, how: str) -> None:
    assert readyz() == (200, "ok")
    statement, told = BREAKS[how]
    execute(statement)
    clock.now += REMEMBERED
    status, text = readyz()
    assert status == 503
    assert text.startswith(f"trigger {UPDATE} on chat_chat {told}")
    assert text.endswith("run manage.py live install")
    assert f"trigger {UPDATE} on chat_chat {told}" in found()
    with pytest.raises(CommandError, match="check"):
        call_command("check", databases=["default"], stdout=StringIO(), stderr=StringIO())
    out = StringIO()
    call_command("live", "install", stdout=out)
    assert "installed" in out.getvalue()
    assert found() == []
    # What was told is remembered for some seconds.
    assert readyz()[0] == 503
    clock.now += REMEMBERED
    assert readyz() == (200, "ok")


def test_all_that_is_missing_is_counted(clock: Clock) -> None:
    for operation in ("insert", "update", "delete"):
        execute(f"DROP TRIGGER live_capture_chat_chat_{operation} ON chat_chat")
    assert "is missing and 2 more: run manage.py live install" in readyz()[1]


def test_asking_again_costs_nothing_and_later_one_query(clock: Clock) -> None:
    ready = Readiness(clock)
    with CaptureQueriesContext(connection) as first:
        assert ready.trouble() is None
    assert len(first) > 2
    with CaptureQueriesContext(connection) as again:
        assert ready.trouble() is None
    assert len(again) == 0
    clock.now += REMEMBERED
    with CaptureQueriesContext(connection) as later:
        assert ready.trouble() is None
    assert len(later) == 1


def test_a_database_that_fails_once_is_looked_at_again(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_cursor: Any) -> Any:
        raise ZeroDivisionError

    ready = Readiness(clock)
    with monkeypatch.context() as broken:
        broken.setattr(triggers, "wanted", fails)
        with pytest.raises(ZeroDivisionError):
            ready.trouble()
    assert ready.trouble() is None


class TestAnotherVersion:
    """A newer version of the code has installed its triggers: whoever serves goes on, whoever starts does not."""

    @pytest.fixture
    def newer(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        whole = triggers.wanted

        def other(cursor: Any) -> list[triggers.Trigger]:
            made = [t for t in whole(cursor) if t.name != "live_capture_jobs_job_insert"]
            return [dataclasses.replace(t, body=f"PERFORM 2; {t.body}") for t in made]

        monkeypatch.setattr(triggers, "wanted", other)
        yield
        monkeypatch.setattr(triggers, "wanted", whole)

    def test_a_process_that_was_in_step_stays_ready(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        before = Readiness(clock)
        assert before.trouble() is None
        whole = triggers.wanted
        with monkeypatch.context() as newer:
            newer.setattr(
                triggers,
                "wanted",
                lambda cursor: [dataclasses.replace(t, body=f"PERFORM 2; {t.body}") for t in whole(cursor)],
            )
            assert len(installing.install()) > 20
        clock.now += REMEMBERED
        assert before.trouble() is None
        assert "is stale" in (Readiness(clock).trouble() or "")
        # Half of it is no version at all.
        execute(f"DROP TRIGGER {UPDATE} ON chat_chat")
        clock.now += REMEMBERED
        assert "more: run manage.py live install" in (before.trouble() or "")

    @pytest.mark.usefixtures("newer")
    def test_what_it_no_longer_wants_is_dropped(self) -> None:
        assert "live_capture_jobs_job_insert" in installing.install()
        assert found() == []


class Nosy(serializers.ModelSerializer[Chat]):
    members: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)

    class Meta:
        model = Chat
        fields = ("id", "members")


def test_a_serializer_that_reads_beyond_its_row(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    entity = registry.registry.entities["chat"]
    bad = Entity("chat", Chat, Nosy, entity.scope, None, "id")
    with monkeypatch.context() as registered:
        registered.setitem(registry.registry.entities, "chat", bad)
        assert [problem.partition(",")[0] for problem in found()] == ["Nosy.members reads 'members'"]
        status, text = readyz()
    assert status == 503
    assert "Nosy.members reads 'members', which is no column of chat_chat" in text


def test_a_model_without_its_scopes_columns() -> None:
    with pytest.raises(LiveConfigurationError, match=r"Chat has no column \['owner_id'\] for its scope"):
        registry.register(Chat, serializer=Nosy, scope="user:{owner_id}", name="other")
    assert "other" not in registry.registry.entities


def test_it_says_nothing_of_the_database_that_is_not_public(clock: Clock) -> None:
    execute(f"DROP TRIGGER {UPDATE} ON chat_chat")
    text = json.dumps(Client().get("/readyz").json())
    assert str(connection.settings_dict["PASSWORD"]) not in text
    assert str(connection.settings_dict["NAME"]) not in text
