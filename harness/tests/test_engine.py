"""Finding the container engine of the machine, and putting back what one of our own changes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from harness.containers import leftovers, network, private, reaper
from harness.containers.__main__ import main
from harness.containers.engine import find_engine
from harness.containers.network import Network
from harness.errors import EngineMissing, HarnessError, SourceUnusable
from harness.folders import CHECKOUT


class FakeEngine:
    """Listens at a socket and answers every request with ``answer``, a byte at a time; never ends it."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self.address = f"unix://{path}"
        self._answer = answer
        self._ended = threading.Event()
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with connection:
            for piece in self._answer:
                try:
                    connection.sendall(bytes([piece]))
                except OSError:
                    return
                self._ended.wait(0.05)
            self._ended.wait(30)

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


@pytest.fixture(params=[b"", b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000], ids=["silent", "dribbling"])
def dead_engine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FakeEngine]:
    engine = FakeEngine(tmp_path / "docker.sock", request.param)
    yield engine
    engine.close()


def test_an_engine_that_accepts_and_never_answers_is_not_waited_for(dead_engine: FakeEngine) -> None:
    begun = time.monotonic()
    with pytest.raises(SourceUnusable, match="No container engine answers at") as caught:
        find_engine({"DOCKER_HOST": dead_engine.address}, within=0.5)
    assert time.monotonic() - begun < 3
    assert "--services embedded" in caught.value.hint


def test_an_engine_elsewhere_is_refused_as_its_ports_are_not_here() -> None:
    with pytest.raises(SourceUnusable, match="on another machine"):
        find_engine({"DOCKER_HOST": "tcp://engine.example:2376"})


def test_the_context_that_people_chose_decides(tmp_path: Path) -> None:
    folder = tmp_path / ".docker"
    meta = folder / "contexts" / "meta" / sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///nowhere.sock"}}}))
    with pytest.raises(SourceUnusable, match=r"No container engine answers at unix:///nowhere\.sock"):
        find_engine({"HOME": str(tmp_path)})


def test_what_starts_a_stack_imports_no_client_of_engines_where_none_is() -> None:
    program = """
import sys
from harness.errors import SourceUnusable
from harness.containers.engine import find_engine
import harness.stack.start, harness.stack.supervisor, harness.stack.watchdog
try:
    find_engine({"DOCKER_HOST": "unix:///nowhere.sock"})
except SourceUnusable:
    print(sorted({"docker", "requests", "testcontainers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_engine_that_was_named_is_not_replaced_by_one_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with (
        pytest.raises(EngineMissing, match=r"No container engine answers at unix:///nowhere\.sock"),
        private.engine(tmp_path, print),
    ):
        pass
    assert not (tmp_path / "engine.json").exists()


def test_a_command_without_an_engine_ends_with_a_sentence_and_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    assert main(["true"]) == EngineMissing.exit_code
    assert "Start that engine, or unset DOCKER_HOST." in capsys.readouterr().err
    assert main([]) == 2
    assert main(["--help"]) == 0


def test_ryuk_listens_on_loopback_alone_and_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from testcontainers.core import container as library

    seen: list[object] = []
    held = threading.Event()

    def never_connects() -> None:
        made = library.DockerContainer.__new__(library.DockerContainer)
        made.ports = {}
        seen.append(made.with_exposed_ports(8080).ports)
        held.wait(30)

    monkeypatch.setattr(reaper, "_STARTED_WITHIN", 0.2)
    monkeypatch.setattr(reaper, "has_image", lambda *_: True)
    monkeypatch.setattr(library.Reaper, "get_instance", never_connects)
    usual = library.DockerContainer
    try:
        assert reaper.start("unix:///nowhere.sock", tmp_path) is False
    finally:
        held.set()
    assert seen == [{"8080/tcp": ("127.0.0.1",)}]
    assert library.DockerContainer is usual


def test_a_registry_without_ryuk_is_asked_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(address: str, image: str, *, begins_within: float) -> None:
        asked.append(image)
        raise HarnessError("no such host")

    monkeypatch.setattr(reaper, "has_image", lambda *_: False)
    monkeypatch.setattr(reaper, "pull", refuse)
    for _ in range(2):
        assert reaper.start("unix:///nowhere.sock", tmp_path / "cache") is False
    assert len(asked) == 1
    (note,) = (tmp_path / "cache").iterdir()
    os.utime(note, (0, 0))
    reaper.start("unix:///nowhere.sock", tmp_path / "cache")
    assert len(asked) == 2


@pytest.mark.parametrize(("socket_folder", "asked_again"), [("there", True), ("nowhere", False)])
def test_a_run_whose_engine_is_silent_is_asked_about_again_unless_the_engine_is_gone_for_good(
    tmp_path: Path, socket_folder: str, asked_again: bool
) -> None:
    (tmp_path / "there").mkdir()
    run = tmp_path / "20200101-000000-ffffff"
    run.mkdir()
    leftovers.note(run, f"unix://{tmp_path}/{socket_folder}/docker.sock")
    assert leftovers.remove_of(run) is False
    assert leftovers.has_note(run) is asked_again


RULES = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD {policy} [3:180]
:OUTPUT ACCEPT [0:0]
{chains}-A INPUT -p tcp -m comment --comment "two words" -j ACCEPT
{rules}COMMIT
"""
BEFORE = RULES.format(policy="ACCEPT", chains="", rules="")
AFTER = RULES.format(
    policy="DROP",
    chains=":DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n",
    rules="-A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j ACCEPT\n-A FORWARD -s 10.9.8.0/24 -j ACCEPT\n",
)


def test_what_an_engine_changed_is_undone_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch, links = tmp_path / "ip_forward", tmp_path / "net"
    switch.write_text("0\n")
    (links / "eth0").mkdir(parents=True)
    saved = [BEFORE]
    done: list[str] = []

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        if command[0].endswith("-save"):
            return subprocess.CompletedProcess(command, 0, saved[-1], "")
        done.append(" ".join(command))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(network, "_SWITCHES", (str(switch),))
    monkeypatch.setattr(network, "_LINKS", links)
    monkeypatch.setattr(network, "_TOOLS", ("iptables",))
    monkeypatch.setattr("harness.containers.network.shutil.which", lambda name: name)
    monkeypatch.setattr(network, "_run", run)
    before = Network.now()
    before.restore()
    assert done == []

    switch.write_text("1\n")
    for made in ("docker0", "tun0"):
        (links / made).mkdir()
    saved.append(AFTER)
    before.restore()
    assert done == [
        "iptables -t filter -D FORWARD -j DOCKER-USER",
        "iptables -t filter -D FORWARD -o docker0 -j ACCEPT",
        "iptables -t filter -F DOCKER",
        "iptables -t filter -F DOCKER-USER",
        "iptables -t filter -X DOCKER",
        "iptables -t filter -X DOCKER-USER",
        "iptables -t filter -P FORWARD ACCEPT",
        "ip link delete docker0",
    ]
    assert switch.read_text() == "0"


@pytest.fixture(autouse=True)
def _without_the_shells_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
