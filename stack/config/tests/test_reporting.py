from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from stack.config.reporting import ReporterFilter


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("redis://:s3cr3t@127.0.0.1:1/0", "redis://*@127.0.0.1:1/0"),
        ({"hosts": ["postgres://stack:s3cr3t@host/name"]}, {"hosts": ["postgres://*@host/name"]}),
        (("https://example.org/a@b",), ("https://example.org/a@b",)),
        ({"PASSWORD": "s3cr3t"}, {"PASSWORD": "*"}),
        (7, 7),
    ],
)
def test_logins_within_addresses_are_left_out(value: object, shown: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReporterFilter, "cleansed_substitute", "*")
    assert ReporterFilter().cleanse_setting("PLACE", value) == shown


def test_a_debug_page_tells_nobody_how_to_sign_in_to_redis(settings: Settings) -> None:
    settings.DEBUG = True
    settings.REDIS_URL = "redis://:s3cr3tw0rd@127.0.0.1:1/0"
    settings.ALLOWED_HOSTS = ["localhost"]
    page = Client(raise_request_exception=False).get("/readyz", headers={"host": "rebound.example"})
    assert page.status_code == 400
    assert "REDIS_URL" in page.content.decode()
    assert "s3cr3tw0rd" not in page.content.decode()
