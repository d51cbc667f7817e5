"""What the doctor says of registries, asked through the clients' own settings."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.doctor import registries
from harness.doctor.check import Ground
from harness.tests.doctoring import has
from harness.tests.helpers import serving


class Registry(BaseHTTPRequestHandler):
    """Knows one package of either kind; everything else is refused."""

    status = 200

    def do_GET(self) -> None:
        url = "nox-1.0-py3-none-any.whl"
        answers = {
            "/simple/nox/": ("text/html", f'<a href="/{url}#sha256={"0" * 64}" data-core-metadata="true">{url}</a>'),
            f"/{url}.metadata": ("text/plain", "Metadata-Version: 2.1\nName: nox\nVersion: 1.0\n"),
            "/next": (
                "application/json",
                '{"name": "next", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"version": "1.0.0"}}}',
            ),
        }
        kind, text = answers.get(self.path, ("text/plain", ""))
        self.send_response(self.status if text else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    monkeypatch.setattr(Registry, "status", 200)
    with serving(server):
        yield f"http://ada:s3cret-w0rd@127.0.0.1:{server.server_port}"


def at(url: str, cache: Path) -> Ground:
    """This checkout, with clients that are set to a registry at `url`."""
    settings = {
        "UV_DEFAULT_INDEX": f"{url}/simple",
        "UV_NO_CONFIG": "1",
        "UV_HTTP_TIMEOUT": "2",
        "npm_config_registry": url,
        "npm_config_cache": str(cache),
        "NO_PROXY": "127.0.0.1",
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return Ground(environ={**kept, **settings})


LOOKS = {"uv": registries.python_packages, "npm": registries.npm_packages}


@pytest.mark.parametrize("client", LOOKS)
def test_a_registry_that_answers_is_told(client: str, registry: str, tmp_path: Path) -> None:
    found = LOOKS[client](at(registry, tmp_path))
    has(found, "ok", f"answers {client}")


@pytest.mark.parametrize("client", LOOKS)
def test_a_registry_that_refuses_is_told_without_its_password(
    client: str, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "status", 403)
    found = LOOKS[client](at(registry, tmp_path))
    has(found, "warn", f"refuses {client}", "credentials")
    assert "s3cret" not in f"{found.text}{found.fix}"


@pytest.mark.parametrize("client", LOOKS)
def test_a_registry_that_is_away_is_told_without_its_password(client: str, tmp_path: Path) -> None:
    found = LOOKS[client](at("http://ada:s3cret-w0rd@127.0.0.1:1", tmp_path))
    assert found.state == "warn"
    assert "s3cret" not in f"{found.text}{found.fix}"
    assert "goes on working" in found.text


def test_a_registry_that_hangs_is_given_up_and_its_client_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "WITHIN", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        found = registries.npm_packages(at(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path))
    has(found, "warn", "no answer within 0.5 s")
    assert time.monotonic() - began < 10
