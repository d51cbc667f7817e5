from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from stack.config import health
from stack.config.environment import StackEnv
from stack.live import process
from stack.live.models import Outbox
from stack.live.readiness import readiness


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "status", lambda: {"ready": True})


@pytest.mark.django_db
def test_alive_without_any_service(settings: Settings, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    settings.HARNESS_RUN = "run-7"
    with django_assert_num_queries(0):
        response = Client().get("/healthz")
    assert response.status_code == 200
    body = response.json()
    assert (body["status"], body["run"]) == ("ok", "run-7")
    assert set(body["pages"]) == {"rendered", "shells", "renderers"}
    assert {"ready": False, "seq": None, "sockets": 0}.items() <= body["live"].items()
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(("path", "told"), [("/healthz", False), ("/readyz?x", False), ("/api/chats", True)])
def test_probes_are_no_lines_of_the_servers_log(path: str, told: bool) -> None:
    log = logging.getLogger("uvicorn.access")
    arguments = ("127.0.0.1:4", "GET", path, "1.1", 200)
    record = log.makeRecord(log.name, logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', arguments, None)
    assert bool(log.filter(record)) == told


@pytest.mark.parametrize(
    ("message", "told"),
    [("Invalid UTF-8 sequence received from client.", False), ("Exception in ASGI application", True)],
)
def test_what_anybody_can_send_is_no_error_of_the_servers_log(message: str, told: bool) -> None:
    log = logging.getLogger("uvicorn.error")
    assert bool(log.filter(log.makeRecord(log.name, logging.ERROR, "", 0, message, (), None))) == told


@pytest.mark.django_db
def test_unready_while_draining(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "status", lambda: {"ready": True})
    monkeypatch.setattr(process, "is_draining", lambda: True)
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["live"] == "draining"


@pytest.mark.parametrize("environment", list(StackEnv))
def test_it_says_what_it_is_for(settings: Settings, environment: StackEnv) -> None:
    settings.STACK_ENV = environment
    assert Client().get("/healthz").json()["environment"] == str(environment)


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_in_production_strangers_learn_no_figures(settings: Settings) -> None:
    settings.STACK_ENV = StackEnv.PRODUCTION
    Outbox.objects.create(kind=Outbox.Kind.ENTITY, name="message", key="a-key")
    assert set(Client().get("/healthz").json()) == {"status", "run", "environment"}
    assert Client().get("/readyz").json()["outbox"] is None


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_in_production_strangers_learn_no_names_and_the_log_tells_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STACK_ENV = StackEnv.PRODUCTION
    monkeypatch.setattr(
        readiness, "trouble", lambda: "trigger live_chat_message is missing: run manage.py live install"
    )
    for _ in range(2):
        monkeypatch.setattr(health, "_brief_until", float("-inf"))
        response = Client().get("/readyz")
        assert (response.status_code, response.json()["checks"]["triggers"]) == (503, "failed")
        assert not {"live_chat_message", "renderer"} & set(re.findall(r"\w+", response.content.decode()))
    assert caplog.text.count("live_chat_message is missing") == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_in_production_who_asks_often_costs_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.STACK_ENV = StackEnv.PRODUCTION
    monkeypatch.setattr(health, "_brief_until", float("-inf"))
    assert Client().get("/readyz").status_code == 200
    with django_assert_num_queries(0):
        assert Client().get("/readyz").status_code == 200
    monkeypatch.setattr(process, "is_draining", lambda: True)
    assert Client().get("/readyz").json()["checks"]["live"] == "draining"


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_ready(settings: Settings) -> None:
    settings.HARNESS_RUN = "run-7"
    response = Client().get("/readyz")
    assert response.status_code == 200, response.content
    checks = {"database": "ok", "migrations": "ok", "redis": "ok", "live": "ok", "triggers": "ok"}
    checks["pages"] = "no renderer is set (RENDERER_URLS): pages are shells"
    outbox = {"oldest": None, "newest": None}
    assert response.json() == {"status": "ok", "run": "run-7", "checks": checks, "outbox": outbox}


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_changes_that_no_relay_has_taken_are_named_and_not_shown() -> None:
    rows = [Outbox.objects.create(kind=Outbox.Kind.ENTITY, name="message", key="a-key") for _ in range(3)]
    response = Client().get("/readyz")
    assert response.status_code == 200
    assert response.json()["outbox"] == {"oldest": rows[0].pk, "newest": rows[-1].pk}
    assert "a-key" not in response.content.decode()


@pytest.mark.django_db
def test_unready_without_a_hub() -> None:
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unready"
    assert "hub" in response.json()["checks"]["live"]


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_ready_without_redis(settings: Settings) -> None:
    settings.REDIS_URL = "redis://:hidden@127.0.0.1:1/0"
    response = Client().get("/readyz")
    assert response.status_code == 200
    assert response.json()["checks"]["redis"] == "failed: ConnectionError"


@pytest.mark.usefixtures("hub")
def test_unready_without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise OperationalError("could not connect to 10.1.2.3")

    monkeypatch.setattr(connection, "cursor", fail)
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "failed: OperationalError"
    assert response.json()["outbox"] is None
    assert "10.1.2.3" not in response.content.decode()


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_unready_before_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [("chat.0001_initial", False)])
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == "1 to apply, first chat.0001_initial: run manage.py prepare"
