"""Deployments that were not started here: asked what they are, played at, and left alone where they should be."""

from __future__ import annotations

import json
import os
import pty
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import safety
from harness.actors.errors import WriteRefused
from harness.actors.http import Http
from harness.browser.driver import Browsers
from harness.errors import TargetUnusable
from harness.folders import CHECKOUT
from harness.play.elsewhere import look_at
from harness.play.people import Person, Pool
from harness.play.runner import perform
from harness.play.scenario import scenario
from harness.play.stage import Stage, Target
from harness.ports import free_port
from harness.tests.deploying import deployed, says
from harness.tests.helpers import read_until
from harness.tests.observing import Seen
from harness.tests.small_app import PASSWORD, SmallApp, small_app

STORIES = """
from __future__ import annotations
from harness import Stage, scenario

@scenario("Signs in and out")
def signs_in_and_out(stage: Stage) -> None:
    bob = stage.actor("bob")
    bob.signs_in()
    bob.signs_out()

@scenario("Writes")
def writes(stage: Stage) -> None:
    bob = stage.actor("bob")
    bob.starts_chat("Lunch", with_=[])

@scenario("The admin writes")
def admin_writes(stage: Stage) -> None:
    stage.admin.changes("profile", of=stage.actor("bob"), first_name="Robert")

@scenario("Breaks things", alone=True)
def breaks(stage: Stage) -> None:
    raise AssertionError("it is not played at all")

@scenario("Makes people")
def makes_people(stage: Stage) -> None:
    stage.crowd(3)
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.json"
    rows = [{"name": name, "password": f"word of {name}"} for name in ("alice", "bob", "carol")]
    file.write_text(json.dumps([*rows, {"name": "ada", "password": "word of ada", "role": "admin"}]))
    return file


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout" / "scenarios"
    folder.mkdir(parents=True)
    (folder / "stories.py").write_text(STORIES, encoding="utf-8")
    return folder.parent


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "HARNESS_RUNS": str(tmp_path / "runs"), "PYTHONPATH": str(CHECKOUT)}


@pytest.fixture
def play(stories: Path, people: Path, environment: dict[str, str]) -> Command:
    """Plays the stories above at a target."""

    def run(target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", "scenario", *arguments, "--target", target, "--users", str(people)],
            cwd=stories,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.mark.parametrize("environment", ["development", "test", "production", None])
def test_a_deployment_says_what_it_is_for(environment: str | None) -> None:
    with deployed(says(environment)) as server:
        found = look_at(f"{server.base}/")
    assert (found.base, found.environment) == (server.base, environment)
    assert found.is_for_tests == (environment in ("development", "test"))


@pytest.mark.parametrize(
    ("health", "status", "told"),
    [
        ("<h1>Welcome</h1>", 200, "is not this stack"),
        ({"status": "ok"}, 200, "is not this stack"),
        (["ok"], 200, "is not this stack"),
        ({"detail": "none"}, 404, r"is not this stack: .*\(HTTP 404\)"),
        ("", 302, r"sends its visitors elsewhere \(HTTP 302\)"),
    ],
)
def test_what_is_not_this_stack_is_not_played_at(health: Any, status: int, told: str) -> None:
    with deployed(health, status=status) as server, pytest.raises(TargetUnusable, match=told):
        look_at(server.base)


def test_where_nobody_listens_is_said() -> None:
    base = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TargetUnusable, match=rf"^{base} can't be reached: .*[Cc]onnection refused\.$"):
        look_at(base)


def test_a_certificate_that_nobody_vouches_for_is_said(certificate: tuple[Path, Path]) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    with deployed(says("test"), tls=tls) as server:
        base = server.base.replace("http:", "https:")
        with pytest.raises(TargetUnusable, match=rf"^The certificate of {base} is not to be trusted: ") as caught:
            look_at(base)
    assert "SSL_CERT_FILE" in caught.value.hint


def test_tls_where_there_is_none_is_said() -> None:
    with deployed(says("test")) as server:
        base = server.base.replace("http:", "https:")
        with pytest.raises(TargetUnusable, match=rf"^{base} does not speak TLS as it should"):
            look_at(base)


@pytest.mark.parametrize(
    "url",
    ["stack.example.org", "ftp://stack.example.org", "https://", "https://x/app", "https://x:port", "https://x?a"],
)
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(TargetUnusable, match="is no address to play against"):
        look_at(url)


@pytest.mark.parametrize("place", ["stack.example.org", "stack.example.org:99999", "[stack", "/stack"])
def test_a_password_in_the_address_is_refused_and_not_told(place: str) -> None:
    with pytest.raises(TargetUnusable, match="holds a user name or a password") as caught:
        look_at(f"https://ada:s3cret-w0rd@{place}")
    assert "s3cret-w0rd" not in f"{caught.value}{caught.value.hint}"


def test_a_production_that_is_not_here_wants_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with deployed(says("production")) as server:
        # The address of this machine by a name that could be any machine's.
        monkeypatch.setattr("harness.play.elsewhere._is_here", lambda _base: False)
        with pytest.raises(TargetUnusable, match="passwords would travel there for all to read"):
            look_at(server.base)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("certificate")
    key, file = folder / "key.pem", folder / "certificate.pem"
    request = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    places = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(file)]
    subprocess.run(["openssl", *request, *places], check=True, capture_output=True)
    return file, key


# Nothing is written where nothing may be


def test_safe_reads_production_and_writes_nothing(play: Command) -> None:
    with deployed(says("production")) as server:
        done = play(server.base, "--safe")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "says that it is for production: nothing is written there" in done.stdout
    assert set(server.writes) <= safety.SIGNING
    assert ("DELETE", "/api/session") in server.writes
    for told in (
        "skipped writes: would write: POST /api/chats",
        "skipped admin_writes: would write: POST /admin/accounts/profile/:id/change/",
        "skipped breaks: ",
        "skipped makes_people: ",
    ):
        assert told in done.stdout
    assert "skipped signs_in_and_out" not in done.stdout


def test_safe_does_not_trust_a_deployment_that_does_not_say_what_it_is_for(play: Command) -> None:
    with deployed(says(None)) as server:
        done = play(server.base, "writes", "--safe")
    assert "does not say what it is for: nothing is written there" in done.stdout
    assert set(server.writes) <= safety.SIGNING
    # Nothing that was asked for could be played, and that proves nothing.
    assert done.returncode == 1
    assert done.stderr.startswith("Nothing was played: 1 skipped")


def test_safe_plays_all_that_it_can_where_tests_are_at_home(play: Command) -> None:
    with deployed(says("test")) as server:
        done = play(server.base, "writes", "breaks", "--safe")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("POST", "/api/chats") in server.writes
    assert "skipped breaks: " in done.stdout


@pytest.mark.parametrize("environment_told", ["production", None])
def test_without_a_word_nothing_is_played_at_production(play: Command, environment_told: str | None) -> None:
    with deployed(says(environment_told)) as server:
        done = play(server.base)
        assert done.returncode == 25
        assert server.base in done.stderr
        assert "--safe plays what only reads; --yes plays everything" in done.stderr
        assert server.writes == []
        assert play(server.base, "writes", "--yes").returncode == 0
        assert ("POST", "/api/chats") in server.writes


@pytest.mark.parametrize(("answer", "code"), [("n", 25), ("y", 0)])
def test_at_a_terminal_one_is_asked(
    stories: Path, people: Path, environment: dict[str, str], answer: str, code: int
) -> None:
    with deployed(says("production")) as server:
        ours, theirs = pty.openpty()
        command = ["scenario", "writes", "--target", server.base, "--users", str(people)]
        with subprocess.Popen(
            [sys.executable, "-m", "harness", *command],
            cwd=stories,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            read_until(ours, "Play there all the same?", within=30)
            assert server.writes == []
            os.write(ours, f"{answer}\n".encode())
            read_until(ours, "Nothing was played." if code else "report: ", within=30)
            assert process.wait(30) == code
        os.close(ours)
        assert (("POST", "/api/chats") in server.writes) == (code == 0)


def test_no_password_gets_into_what_is_told_or_kept(play: Command, tmp_path: Path) -> None:
    with deployed(says("test")) as server:
        done = play(server.base, "--json")
    kept = [path.read_text(encoding="utf-8") for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert len(kept) > 2
    for text in (done.stdout, done.stderr, *kept):
        assert "word of bob" not in text


def test_writing_is_refused_before_anything_leaves() -> None:
    seen = Seen()
    with deployed(says(None)) as server, Http(server.base, observer=seen) as http:
        with safety.protected(f"{server.base}/"):
            for method in ("POST", "PUT", "PATCH", "DELETE", "post", "TRACE"):
                with pytest.raises(WriteRefused, match=f"would write: {method} /api/chats/:id"):
                    http.json(method, "/api/chats/7?x=/api/session", {})
            http.json("POST", "/api/session", {})
            for method in ("GET", "HEAD", "OPTIONS"):
                assert not safety.refuses(server.base, method, "/api/chats")
            for path in ("//api/session", "/api/session/", "/api/session;x", "/api/x/../session", "/API/session"):
                assert safety.refuses(server.base, "POST", path)
            assert safety.refuses("http://127.0.0.1:1", "POST", f"http://localhost:{server.server_port}/api/chats")
        assert server.writes == [("POST", "/api/session")]
        http.json("PUT", "/api/chats/7", {})
        assert server.writes[-1] == ("PUT", "/api/chats/7")


@pytest.mark.parametrize(
    ("base", "same"),
    [
        ("http://127.0.0.1:80", True),
        ("HTTP://127.0.0.1/", True),
        ("http://127.0.0.1:8080", False),
        ("https://127.0.0.1", False),
        ("http://localhost", True),
        ("http://[::1]", True),
        ("http://LOCALHOST.:80", True),
        ("http://stack.example.org", False),
    ],
)
def test_an_address_is_protected_however_it_is_written(base: str, same: bool) -> None:
    with safety.protected("http://127.0.0.1"), safety.protected("http://127.0.0.1"):
        pass
    with safety.protected("http://127.0.0.1"):
        assert safety.is_protected(base) == same
    assert not safety.is_protected(base)


WRITING_PAGES = {
    "fetch": 'fetch("/api/chats", {method: "POST", body: "{}"}).catch(() => {});',
    "beacon": 'navigator.sendBeacon("/api/chats", "{}");',
    "form": "const form = document.createElement('form'); form.method = 'post'; form.action = '/api/chats';"
    "document.body.append(form); form.submit();",
    "keepalive": 'fetch("/api/chats", {method: "DELETE", keepalive: true}).catch(() => {});',
}


@pytest.mark.parametrize("way", WRITING_PAGES)
def test_a_page_that_writes_is_held_back(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browsers: Browsers
) -> None:
    arrived = counted_writes(monkeypatch)
    pages = {"/profile/": ("Profile", '<script src="/write.js"></script>')}
    script = f'addEventListener("load", () => {{ {WRITING_PAGES[way]} }});'

    @scenario("Looks at a page that writes", windows=["bob"])
    def looks(stage: Stage) -> None:
        bob = stage.actor("bob")
        bob.signs_in()
        bob.opens("/profile")
        bob.sees("never there", within=5)

    with small_app(pages=pages, scripts={"/write.js": script}) as app, safety.protected(app.base):
        pool = Pool([Person(name="bob", password=PASSWORD)])
        target = Target(backends=(app.base,))
        play = perform(looks, target, pool, folder=tmp_path, eyes=True, browsers=browsers)
    assert play.failure is None, play.trace
    assert play.skipped is not None
    assert play.skipped.endswith(" /api/chats")
    assert arrived == [("POST", "/api/session")]


def counted_writes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What arrives at small apps from now on and is no reading request."""
    arrived: list[tuple[str, str]] = []
    handler: Any = SmallApp.__init__.__globals__["_Handler"]
    answers = handler.do_POST

    def counting(self: Any) -> None:
        arrived.append((self.command, self.path))
        answers(self)

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        monkeypatch.setattr(handler, f"do_{method}", counting, raising=False)
    return arrived
