"""The page to try the API out on."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.test import Client
from lxml import html
from rest_framework.test import APIClient

from stack.accounts.services import user_create

pytestmark = pytest.mark.django_db
DOCS = "/api/docs/"


def page_of(response: Any) -> Any:
    return html.fromstring(response.content)


def test_the_page_holds_no_script_and_no_token() -> None:
    client = Client()
    response = client.get(DOCS)
    page = page_of(response)
    scripts = page.xpath("//script")
    assert scripts
    assert not any(script.text for script in scripts)
    assert not page.xpath("//@*[starts-with(name(), 'on')]")
    # The token's cookie is there from the start; in the page it would be outdated by the first sign-in.
    assert client.cookies["csrftoken"].value
    assert "csrfmiddlewaretoken" not in response.content.decode()
    assert not re.search(r"\b[A-Za-z0-9]{32}(?:[A-Za-z0-9]{32})?\b", response.content.decode())


def test_the_page_names_what_its_script_needs() -> None:
    client = Client()
    page = page_of(client.get(DOCS))
    (place,) = page.xpath("//*[@id='swagger-ui']")
    assert place.get("data-csrf-cookie") in client.cookies
    assert place.get("data-csrf-header") == "X-CSRFTOKEN"
    assert place.get("data-settings").strip().startswith("{")
    assert client.get(f"{DOCS}{place.get('data-schema-url')}"[len(DOCS) :]).status_code == 200
    for file in page.xpath("//script/@src | //link/@href"):
        assert client.get(file).status_code == 200, file


def test_the_script_reads_the_token_for_each_request() -> None:
    client = Client()
    (own,) = (src for src in page_of(client.get(DOCS)).xpath("//script/@src") if "sidecar" not in src)
    script = client.get(own).content.decode()
    interceptor = script[script.index("const requestInterceptor") :]
    assert "request.headers[csrfHeader] = csrfToken();" in interceptor
    assert (
        "document.cookie" in script[script.index("const csrfToken = () =>") : script.index("const requestInterceptor")]
    )
    assert re.search(r"SwaggerUIBundle\(\{.*\brequestInterceptor,\n", script, re.DOTALL)


def test_the_cookie_is_what_the_api_takes_after_signing_in() -> None:
    """What the script does, done by hand: sign in and write, with the cookie as it is at each moment."""
    user_create(username="anna", password="secret")
    client = APIClient(enforce_csrf_checks=True)
    client.get(DOCS)
    before = token(client.cookies)
    body = {"username": "anna", "password": "secret"}
    assert client.post("/api/session", body, headers={"X-CSRFTOKEN": before}).status_code == 200
    after = token(client.cookies)
    assert after != before
    assert client.patch("/api/profile", {"bio": "x"}, headers={"X-CSRFTOKEN": before}).status_code == 403
    assert client.patch("/api/profile", {"bio": "x"}, headers={"X-CSRFTOKEN": after}).status_code == 200


def token(cookies: SimpleCookie) -> str:
    value: str = cookies["csrftoken"].value
    return value
