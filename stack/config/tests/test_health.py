from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from stack.config import health
from stack.live import process


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
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_ready(settings: Settings) -> None:
    settings.HARNESS_RUN = "run-7"
    response = Client().get("/readyz")
    assert response.status_code == 200, response.content
    checks = {"database": "ok", "migrations": "ok", "redis": "ok", "live": "ok"}
    checks["pages"] = "no renderer is set (RENDERER_URLS): pages are shells"
    assert response.json() == {"status": "ok", "run": "run-7", "checks": checks}


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
    assert "10.1.2.3" not in response.content.decode()


@pytest.mark.django_db
@pytest.mark.usefixtures("hub")
def test_unready_before_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [("chat.0001_initial", False)])
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == "1 to apply, first chat.0001_initial: run manage.py prepare"
