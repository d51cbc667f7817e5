from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import httpx
import psutil
import pytest

from harness.errors import HarnessError
from harness.faults.catalogue import FAULTS, fault
from harness.folders import Folders
from harness.ports import free_port
from harness.resources import HttpReady
from harness.stack import RunningStack
from harness.tests.helpers import fake, is_alive, start_fakes, task

SERVER = """
import http.server, json, os, sys
class Fine(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"run": os.environ["HARNESS_RUN"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Fine).serve_forever()
"""


@pytest.fixture
def pair(folders: Folders) -> Iterator[RunningStack]:
    """Two servers of one kind, and one of a kind whose name begins alike."""
    records = []
    for name in ("web-1", "web-2", "webbing"):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        record = fake(name, SERVER, readiness=HttpReady(url), environment={"PORT": str(port)})
        records.append(replace(record, endpoints={"http": url}))
    with start_fakes(folders, *records) as stack:
        yield stack


def answer(stack: RunningStack, name: str) -> int | str:
    """The status a resource answers with, or how it failed to."""
    try:
        return httpx.get(stack.resource(name).url or "", timeout=0.5, trust_env=False).status_code
    except httpx.TransportError as error:
        return type(error).__name__


@pytest.mark.parametrize(("how", "expected"), [("killed", "ConnectError"), ("frozen", "ReadTimeout"), ("failing", 500)])
def test_every_resource_of_the_kind_breaks_and_is_whole_again(
    pair: RunningStack, how: str, expected: int | str
) -> None:
    with fault(pair, "web", how) as breach:
        assert breach.names == ("web-1", "web-2")
        assert breach.what == f"web-1, web-2: {how}"
        assert [answer(pair, name) for name in breach.names] == [expected, expected]
        assert answer(pair, "webbing") == 200
    for name in breach.names:
        assert answer(pair, name) == 200
        assert pair.resource(name).state == "ready"


@pytest.mark.parametrize("how", ["killed", "frozen", "failing"])
def test_it_is_whole_again_after_an_error_too(pair: RunningStack, how: str) -> None:
    with suppress(ZeroDivisionError), fault(pair, "web", how):
        raise ZeroDivisionError
    assert [answer(pair, name) for name in ("web-1", "web-2")] == [200, 200]


def test_what_is_frozen_lives_and_goes_on_as_the_same_process(pair: RunningStack) -> None:
    before = pair.resource("web-1").pid
    assert before is not None
    with fault(pair, "web", "frozen"):
        assert psutil.Process(before).status() == psutil.STATUS_STOPPED
    assert is_alive(before)
    assert pair.resource("web-1").pid == before


def test_what_is_killed_comes_back_as_another_process(pair: RunningStack) -> None:
    before = pair.resource("web-1").pid
    with fault(pair, "web", "killed"):
        assert pair.resource("web-1").state != "ready"
    assert pair.resource("web-1").pid != before


def test_what_is_restarted_is_back_when_the_block_begins(pair: RunningStack) -> None:
    before = pair.resource("web-1").pid
    with fault(pair, "web-1", "restarted") as breach:
        assert breach.names == ("web-1",)
        assert answer(pair, "web-1") == 200
        assert pair.resource("web-1").pid != before


@pytest.mark.parametrize(
    ("kind", "how", "settings", "told"),
    [
        ("database", "killed", {}, "no resource of the kind 'database'"),
        ("web", "tickled", {}, "'tickled' on purpose"),
        ("web", "paused", {}, "web can't be paused: that is for redis"),
        ("layer", "killed", {}, "layer can't be killed"),
        ("web", "killed", {"seconds": 1.0}, "killed has no setting 'seconds'"),
        ("redis", "latency", {}, "latency wants to know: seconds"),
        ("redis", "latency", {"second": 1.0}, "latency has no setting 'second'"),
    ],
)
def test_nothing_is_broken_by_a_wrong_word(
    pair: RunningStack, kind: str, how: str, settings: dict[str, float], told: str
) -> None:
    with pytest.raises(HarnessError, match=told) as caught, fault(pair, kind, how, **settings):
        pass
    assert caught.value.hint
    assert [answer(pair, name) for name in ("web-1", "web-2")] == [200, 200]


def test_every_fault_says_what_it_does() -> None:
    assert all(one.about.endswith(".") for one in FAULTS.values())
    assert FAULTS["latency"].settings == {"seconds": None, "jitter": 0.0, "seed": 0}


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_what_has_done_its_work_is_not_broken(how: str, folders: Folders) -> None:
    with start_fakes(folders, task("prepare", "pass")) as stack:
        with pytest.raises(HarnessError, match="prepare has done its work") as caught, fault(stack, "prepare", how):
            pass
        assert caught.value.hint
        assert stack.resource("prepare").state == "done"


def test_only_http_can_be_answered_with_failures(folders: Folders) -> None:
    with start_fakes(folders, fake("mute")) as stack:
        before = stack.resource("mute").pid
        with pytest.raises(HarnessError, match="mute speaks no HTTP"), fault(stack, "mute", "failing"):
            pass
        assert stack.resource("mute").pid == before
        assert stack.resource("mute").state == "ready"


@pytest.mark.parametrize("how", ["killed", "frozen", "failing"])
def test_an_interruption_at_its_very_beginning_leaves_nothing_broken(
    pair: RunningStack, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    for name in ("kill", "stop_resource"):
        done = getattr(pair, name)

        def interrupted(*arguments: object, done: Callable[..., None] = done) -> None:
            monkeypatch.undo()
            done(*arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(pair, name, interrupted)
    with pytest.raises(KeyboardInterrupt), fault(pair, "web-1", how):
        pass
    assert answer(pair, "web-1") == 200
