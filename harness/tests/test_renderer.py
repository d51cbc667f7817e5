"""The renderer in a stack: what it proves, what it knows, and that it can be broken and mended."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from harness.errors import BuildFailed
from harness.folders import Folders
from harness.frontend.build import ensure_build
from harness.frontend.node import find_node
from harness.resources import PageReady
from harness.stack import RunningStack, StackOptions, start_stack
from harness.stack.readiness import page_answers
from harness.tests.helpers import carriers, is_alive

SECRETS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")


class _Renderer(BaseHTTPRequestHandler):
    """Renders for the run that it is given, from page data alone."""

    asked: ClassVar[list[dict[str, object]]] = []
    status = 200
    run = ""

    def do_POST(self) -> None:
        page = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"at": self.path, **page})
        self.send_response(self.status)
        self.send_header("X-Harness-Run", self.run)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_renderer_is_ready_when_it_renders_for_this_run() -> None:
    with HTTPServer(("127.0.0.1", 0), _Renderer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proof = PageReady(f"http://127.0.0.1:{server.server_port}")
        for status, run, reason in ((200, "r", None), (200, "s", "not of this run"), (500, "r", "answers 500")):
            _Renderer.status, _Renderer.run = status, run
            said = asyncio.run(page_answers(proof, "r"))
            assert said == reason or (reason and reason in (said or ""))
        server.shutdown()
    page = _Renderer.asked[0]
    assert datetime.fromisoformat(str(page.pop("now"))).tzinfo is not None
    assert page == {"at": "/sign-in/", "version": 1, "path": "/sign-in/", "user": None, "snapshot": None}


@pytest.mark.stack
def test_a_second_look_for_the_build_does_no_work(stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = Folders.of_checkout()
    find_node(folders.root)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    told: list[str] = []
    began = time.monotonic()
    build = ensure_build(folders, on_progress=told.append)
    # Reading the sources takes milliseconds; a build, or asking Node.js, would be seen.
    assert time.monotonic() - began < 1.0
    assert told == []
    assert (build.made, str(build.path)) == (False, stack.environment["FRONTEND_BUILD"])
    assert (build.path / "web" / "index.html").is_file()
    assert (build.path / "renderer" / "public").is_dir()


@pytest.mark.stack
def test_the_renderers_are_told_to_django_and_shown(stack: RunningStack) -> None:
    urls = [status.url for status in stack.resources() if status.name.startswith("renderer")]
    told = [f"http://{stack.proxies[name]}" for name in ("renderer-1", "renderer-2")]
    assert stack.environment["RENDERER_URLS"].split(",") == told
    assert len(urls) == 2
    assert {entry["url"] for entry in stack.record()["resources"] if entry["name"].startswith("renderer")} == set(urls)


@pytest.mark.stack
def test_a_renderer_is_node_itself_and_knows_no_secret(stack: RunningStack) -> None:
    secrets = [stack.environment[name] for name in SECRETS]
    for name in ("renderer-1", "renderer-2"):
        process = psutil.Process(stack.resource(name).pid)
        assert Path(process.exe()).name == "node"
        for member in (process, *process.children(recursive=True)):
            found = member.environ()
            assert found["HARNESS_RUN"] == stack.run_id
            assert not set(SECRETS) & set(found)
            assert not any(secret in value for secret in secrets for value in (*found.values(), *member.cmdline()))
        listening = {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}


@pytest.mark.stack
def test_one_that_was_killed_is_started_again(stack: RunningStack) -> None:
    before = stack.resource("renderer-1")
    stack.kill("renderer-1")
    assert stack.resource("renderer-1").label == "exited (-9)"
    stack.restart("renderer-1")
    after = stack.resource("renderer-1")
    assert (after.state, after.url) == ("ready", before.url)
    assert after.pid != before.pid


@pytest.mark.stack
def test_one_that_is_frozen_goes_on(stack: RunningStack) -> None:
    status = stack.resource("renderer-2")
    proof = PageReady(str(status.url))
    stack.kill("renderer-2", signal.SIGSTOP)
    try:
        assert psutil.Process(status.pid).status() == psutil.STATUS_STOPPED
        # Nobody has ended, and status says no more than that.
        assert stack.resource("renderer-2") == status
    finally:
        stack.kill("renderer-2", signal.SIGCONT)
    assert asyncio.run(page_answers(proof, stack.run_id)) is None


@pytest.mark.stack
def test_a_frozen_one_is_ended_with_its_run(folders: Folders) -> None:
    options = StackOptions(services="embedded", resources=frozenset({"renderer"}))
    with start_stack(options, folders=folders) as alone:
        run, pid = alone.run_id, alone.resource("renderer").pid
        assert pid is not None
        with pytest.raises(BuildFailed, match="used by a stack that runs"):
            ensure_build(folders, on_progress=lambda _: None, force=True)
        alone.kill("renderer", signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    assert not is_alive(pid)
    assert not carriers(run)
