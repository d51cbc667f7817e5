from __future__ import annotations

import asyncio

from django.test import AsyncClient, Client

PATH = "/static/admin/css/base.css"


def test_a_file_is_served_whole_and_without_streaming() -> None:
    response = asyncio.run(AsyncClient().get(PATH))
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/css")
    assert not response.streaming
    assert len(response.content) == int(response["Content-Length"]) > 1000


def test_a_range() -> None:
    response = Client().get(PATH, HTTP_RANGE="bytes=10-19")
    assert response.status_code == 206
    assert response.content == Client().get(PATH).content[10:20]


def test_head_and_not_modified() -> None:
    response = Client().head(PATH)
    assert (response.status_code, response.content) == (200, b"")
    same = Client().get(PATH, HTTP_IF_MODIFIED_SINCE=response["Last-Modified"])
    assert (same.status_code, same.content) == (304, b"")
