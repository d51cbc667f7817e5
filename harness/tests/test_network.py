"""Stacks whose servers have proxies in front: the addresses that lead there and past them, and what faults do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg
import pytest
import redis
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from harness.cli import lifecycle
from harness.cli.group import harness
from harness.errors import HarnessError, SourceUnusable
from harness.faults import network
from harness.faults.target import Target
from harness.folders import Folders
from harness.frontend.node import Node
from harness.ports import free_port
from harness.resources import HttpReady, Notify, Resource
from harness.services.types import Service
from harness.stack import RunningStack, StackOptions, attach, plan, start_stack
from harness.stack.pages import Pages
from harness.stack.plan import SERVICES
from harness.stack.proxies import Proxies, proxies_for
from harness.tests.conftest import folders_below
from harness.tests.helpers import eventually, fake, start_fakes
from harness.tests.test_faults import SERVER


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return folders_below(tmp_path_factory.mktemp("behind"))


@pytest.fixture(scope="module")
def behind(place: Folders) -> Iterator[RunningStack]:
    """Servers of our own, a small web server and something without a port, behind proxies."""
    url = f"http://127.0.0.1:{free_port()}"
    web = fake("web", SERVER, readiness=HttpReady(url), environment={"PORT": str(urlsplit(url).port)})
    options = StackOptions(
        services="embedded",
        resources=SERVICES,
        extra=(replace(web, endpoints={"http": url}), fake("mute")),
        proxies=True,
    )
    with start_stack(options, folders=place) as stack:
        yield stack


def port_of(url: str | None) -> int | None:
    return urlsplit(url or "").port


def server_port(url: str) -> int:
    """The port at which the database itself was reached."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute("SELECT inet_server_port()").fetchone()
    assert row is not None
    return int(row[0])


def pings(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=5) as client:
        return bool(client.ping())


def test_everybody_goes_through_the_proxies_but_the_harness_itself(behind: RunningStack) -> None:
    assert set(behind.proxies) == {"postgres", "redis", "web"}
    for name, variable in (("postgres", "DATABASE_URL"), ("redis", "REDIS_URL")):
        proxied, direct = urlsplit(behind.environment[variable]), urlsplit(behind.direct[variable])
        assert f"127.0.0.1:{proxied.port}" == behind.proxies[name]
        assert direct.port == port_of(behind.resource(name).url)
        assert direct.port != proxied.port
        assert (proxied.scheme, proxied.username, proxied.password, proxied.path) == (
            direct.scheme,
            direct.username,
            direct.password,
            direct.path,
        )
    with network.slow_close(behind, "postgres", seconds=0) as toll:
        own = port_of(behind.direct["DATABASE_URL"])
        assert server_port(behind.direct["DATABASE_URL"]) == own
        assert toll.counters().connections == 0
        assert server_port(behind.environment["DATABASE_URL"]) == own
        assert toll.counters().connections == 1
    assert httpx.get(f"http://{behind.proxies['web']}", trust_env=False).json() == {"run": behind.run_id}


def test_the_proxies_are_a_resource_that_knows_no_secret(behind: RunningStack) -> None:
    status = behind.resources()[0]
    assert (status.name, status.state, status.url) == ("proxies", "ready", None)
    process = psutil.Process(status.pid)
    secrets = [urlsplit(url).password or "" for url in behind.direct.values()]
    assert all(len(secret) > 8 for secret in secrets)
    found = [*process.cmdline(), *process.environ().values()]
    assert not any(secret in text for secret in secrets for text in found)
    listening = {c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert {f"{ip}:{port}" for ip, port in listening} == set(behind.proxies.values())


def test_a_database_that_is_down_can_still_be_looked_into(behind: RunningStack) -> None:
    with network.down(behind, "postgres"):
        with pytest.raises(psycopg.OperationalError, match="refused"):
            server_port(behind.environment["DATABASE_URL"])
        assert server_port(behind.direct["DATABASE_URL"])
        assert pings(behind.environment["REDIS_URL"])
    assert server_port(behind.environment["DATABASE_URL"])


def test_redis_answers_late_and_then_in_time(behind: RunningStack) -> None:
    with redis.Redis.from_url(behind.environment["REDIS_URL"], socket_timeout=0.2, retry=None) as client:
        client.ping()
        with network.latency(behind, "redis", seconds=0.3) as toll, pytest.raises(redis.TimeoutError):
            client.ping()
        assert toll.counters().delayed >= 1
        assert pings(behind.environment["REDIS_URL"])


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_server_that_is_restarted_is_found_again(behind: RunningStack, name: str) -> None:
    before, addresses = behind.resource(name), (dict(behind.environment), dict(behind.proxies))
    behind.kill(name)
    with network.slow_close(behind, name, seconds=0) as toll:
        with pytest.raises((psycopg.OperationalError, redis.ConnectionError)):
            answers(behind, name)
        assert toll.counters().refused >= 1
        behind.start(name)
        assert answers(behind, name)
    after = behind.resource(name)
    assert (after.url, after.state) == (before.url, "ready")
    assert after.pid != before.pid
    assert (behind.environment, behind.proxies) == addresses


def answers(stack: RunningStack, name: str) -> bool:
    if name == "redis":
        return pings(stack.environment["REDIS_URL"])
    return bool(server_port(stack.environment["DATABASE_URL"]))


def test_proxies_that_are_restarted_hold_no_fault(behind: RunningStack) -> None:
    with network.down(behind, "redis") as toll:
        behind.restart("proxies")
        assert pings(behind.environment["REDIS_URL"])
        with pytest.raises(HarnessError, match="do not answer"):
            toll.counters()
    assert pings(behind.environment["REDIS_URL"])


@pytest.mark.parametrize("name", ["mute", "proxies", "nothing"])
def test_what_has_no_proxy_is_named_with_what_has(behind: RunningStack, name: str) -> None:
    with pytest.raises(HarnessError, match=f"no proxy in front of '{name}'") as caught, network.down(behind, name):
        pass
    assert caught.value.hint == "There is one in front of: postgres, redis, web."


def test_a_value_that_makes_no_sense_is_refused(behind: RunningStack) -> None:
    with pytest.raises(HarnessError, match="at least 1"), network.bandwidth(behind, "redis", bytes_per_second=0):
        pass
    assert pings(behind.environment["REDIS_URL"])


def test_who_attaches_can_break_the_network_too(behind: RunningStack, place: Folders) -> None:
    with attach(behind.run_id, folders=place) as other:
        assert (other.proxies, other.direct) == (behind.proxies, behind.direct)
        with network.down(other, "redis"), pytest.raises(redis.ConnectionError):
            pings(behind.environment["REDIS_URL"])
    assert pings(behind.environment["REDIS_URL"])


def test_without_proxies_there_is_a_sentence_and_a_next_step(folders: Folders) -> None:
    with start_fakes(folders, fake("app")) as stack:
        assert stack.proxies == {}
        assert stack.direct == {name: stack.environment[name] for name in ("DATABASE_URL", "REDIS_URL")}
        with pytest.raises(HarnessError, match="was started without proxies") as caught, network.down(stack, "app"):
            pass
    assert "harness up --faults" in caught.value.hint


def test_servers_of_somebody_else_are_behind_proxies_too(
    behind: RunningStack, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, url in behind.direct.items():
        monkeypatch.setenv(name, url)
    with start_stack(StackOptions(services="url", resources=SERVICES, proxies=True), folders=folders) as stack:
        assert stack.direct == behind.direct
        assert server_port(stack.environment["DATABASE_URL"]) == port_of(behind.direct["DATABASE_URL"])
        with network.down(stack, "redis"):
            with pytest.raises(redis.ConnectionError):
                pings(stack.environment["REDIS_URL"])
            assert pings(behind.environment["REDIS_URL"])
            assert pings(stack.direct["REDIS_URL"])


# The application behind proxies


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    port = free_port()
    options = StackOptions(
        services="embedded",
        resources=frozenset({*SERVICES, "prepare", "backend", "relay"}),
        scale={"backend": 2},
        port=port,
        proxies=True,
    )
    with start_stack(options, folders=folders_below(tmp_path_factory.mktemp("served"))) as stack:
        assert stack.urls.app == f"http://127.0.0.1:{port}"
        yield stack


def test_people_are_told_the_addresses_of_the_proxies(served: RunningStack) -> None:
    assert served.backends == tuple(f"http://{served.proxies[name]}" for name in ("backend-1", "backend-2"))
    assert served.record()["urls"]["app"] == served.urls.app == served.backends[0]
    urls = {status.name: status.url for status in served.resources()}
    for name, proxied in zip(("backend-1", "backend-2"), served.backends, strict=True):
        assert urls[name] not in (None, proxied)
        for url in (proxied, urls[name]):
            assert httpx.get(f"{url}/readyz", trust_env=False).json()["run"] == served.run_id


@pytest.mark.parametrize("backend", ["backend-1", "backend-2"])
def test_pages_of_either_address_may_write_and_open_the_socket(served: RunningStack, backend: str) -> None:
    direct = served.resource(backend).url or ""
    user = served.users[0]
    for base in (f"http://{served.proxies[backend]}", direct):
        with httpx.Client(base_url=base, trust_env=False, headers={"Origin": base}) as client:
            token = client.get("/api/session").cookies["csrftoken"]
            form = {"username": user.name, "password": user.password}
            client.headers["X-CSRFToken"] = token
            assert client.post("/api/session", json=form).status_code in (200, 201)
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            live = f"ws{base.removeprefix('http')}/live"
            with connect(live, origin=Origin(base), additional_headers={"Cookie": cookies}):
                pass
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://{served.proxies[backend]}/live", origin=Origin("http://127.0.0.1:1"))


def test_the_database_knows_whose_a_session_is(served: RunningStack) -> None:
    def names() -> set[str]:
        with psycopg.connect(served.direct["DATABASE_URL"]) as connection:
            rows = connection.execute("SELECT application_name FROM pg_stat_activity WHERE datname IS NOT NULL")
            return {name for (name,) in rows}

    eventually(lambda: names() >= {"backend-1", "backend-2", "relay"}, within=10, what="all have a session")


def test_one_backend_that_is_down_is_down_alone_and_alive(served: RunningStack) -> None:
    with network.down(served, "backend-2"):
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{served.backends[1]}/readyz", trust_env=False)
        assert httpx.get(f"{served.backends[0]}/readyz", trust_env=False).status_code == 200
        assert httpx.get(f"{served.resource('backend-2').url}/readyz", trust_env=False).status_code == 200
    assert httpx.get(f"{served.backends[1]}/readyz", trust_env=False).status_code == 200


# Parts


def service(name: str, url: str) -> Service:
    record = Resource(name=name, kind="service", command=(), readiness=Notify(), directory="/")
    return Service(name, "url", "asked for", url, record)


def through(name: str, url: str) -> tuple[Target, str]:
    proxies = proxies_for([service(name, url)], {}, [])
    return proxies.targets[0], proxies.through(name, url)


@pytest.mark.parametrize(
    ("name", "url", "to", "expected"),
    [
        ("postgres", "postgres://u:p%40@db.example.com/x", ("db.example.com", 5432), "postgres://u:p%40@HERE/x"),
        ("postgres", "postgresql://db:5433/x?sslmode=require", ("db", 5433), "postgresql://HERE/x?sslmode=require"),
        ("postgres", "postgres://db/x?sslmode=verify-ca", ("db", 5432), "postgres://HERE/x?sslmode=verify-ca"),
        ("postgres", "postgres://127.0.0.1/x?sslmode=verify-full", ("127.0.0.1", 5432), None),
        ("postgres", "postgres://u@[::1]:5433/x", ("::1", 5433), "postgres://u@HERE/x"),
        ("redis", "redis://:p@cache/1", ("cache", 6379), "redis://:p@HERE/1"),
        ("redis", "rediss://cache/1?ssl_check_hostname=False", ("cache", 6379), None),
        ("redis", "rediss://cache/1?ssl_cert_reqs=none", ("cache", 6379), None),
        ("redis", "rediss://127.0.0.1/1", ("127.0.0.1", 6379), "rediss://HERE/1"),
    ],
)
def test_an_address_changes_and_nothing_else(name: str, url: str, to: tuple[str, int], expected: str | None) -> None:
    target, found = through(name, url)
    assert (target.to_host, target.to_port) == to
    assert found == (expected or url.replace(urlsplit(url).netloc, "HERE")).replace("HERE", f"127.0.0.1:{target.port}")


@pytest.mark.parametrize(
    ("name", "url", "reason"),
    [
        ("postgres", "postgres://u:secret@db/x?sslmode=verify-full", "DATABASE_URL wants .*sslmode=verify-full"),
        ("postgres", "postgres://u:secret@db/x?sslrootcert=system", "DATABASE_URL wants .*sslrootcert=system"),
        ("postgres", "postgres://u:secret@db/x?host=other", "DATABASE_URL names its server with host="),
        ("postgres", "postgres://u:secret@db/x?hostaddr=10.0.0.1", "DATABASE_URL names its server with hostaddr="),
        ("postgres", "postgres://u:secret@%2Frun%2Fpg/x", "DATABASE_URL names its server as a unix socket"),
        ("redis", "rediss://:secret@cache/1", "REDIS_URL wants the server's name verified"),
        ("redis", "rediss://:secret@cache/1?ssl_check_hostname=true", "REDIS_URL wants the server's name verified"),
    ],
)
def test_what_no_proxy_can_stand_in_front_of_is_refused(name: str, url: str, reason: str) -> None:
    with pytest.raises(SourceUnusable, match=reason) as caught:
        through(name, url)
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    assert "--faults" in caught.value.hint


@pytest.fixture
def basis(tmp_path: Path) -> plan.Basis:
    """A plan of two backends and two renderers behind proxies."""
    services = [service("postgres", "postgres://u:p@127.0.0.1:1001/x"), service("redis", "redis://127.0.0.1:1002/0")]
    targets = [
        Target("postgres", 2001, "127.0.0.1", 1001),
        Target("redis", 2002, "127.0.0.1", 1002),
        *(Target(f"backend-{number}", 2010 + number, "127.0.0.1", 1010 + number) for number in (1, 2)),
        *(Target(f"renderer-{number}", 2020 + number, "127.0.0.1", 1020 + number) for number in (1, 2)),
    ]
    return plan.Basis(
        run="r",
        root=tmp_path,
        folder=tmp_path,
        postgres=services[0],
        redis=services[1],
        secret_key="k",
        ports=(1011, 1012),
        pages=Pages(Node(Path("/node"), Path("/npm"), "24.0.0"), (1021, 1022), None),
        proxies=Proxies(tuple(targets)),
    )


def test_the_plan_leads_everybody_through_the_proxies(basis: plan.Basis) -> None:
    found = plan.environment(basis)
    assert found["DATABASE_URL"] == "postgres://u:p@127.0.0.1:2001/x"
    assert found["REDIS_URL"] == "redis://127.0.0.1:2002/0"
    assert found["RENDERER_URLS"] == "http://127.0.0.1:2021,http://127.0.0.1:2022"
    ports = (2011, 2012, 1011, 1012)
    origins = {f"http://{host}:{port}" for host in ("127.0.0.1", "localhost") for port in ports}
    assert set(found["APP_ORIGINS"].split(",")) == origins
    assert basis.backends == ("http://127.0.0.1:2011", "http://127.0.0.1:2012")


def test_the_plan_without_proxies_is_direct(basis: plan.Basis) -> None:
    found = plan.environment(replace(basis, proxies=None))
    assert {name: found[name] for name in basis.direct} == basis.direct
    assert found["RENDERER_URLS"] == "http://127.0.0.1:1021,http://127.0.0.1:1022"
    assert found["APP_ORIGINS"].count(":1011") == 2
    assert "201" not in found["APP_ORIGINS"]
    assert replace(basis, proxies=None).backends == ("http://127.0.0.1:1011", "http://127.0.0.1:1012")


def test_the_plan_signs_every_session_and_proves_readiness_directly(basis: plan.Basis) -> None:
    (tmp := basis.root / "stack").mkdir()
    (tmp / "a.py").touch()
    records = plan.resources(basis, {"backend": 2}, None)
    assert records[0].name == "proxies"
    for record in records:
        if record.name.startswith(("prepare", "backend", "relay", "worker")):
            assert record.environment["PGAPPNAME"] == record.name
    by_name = {record.name: record for record in records}
    assert "proxies" in by_name["prepare"].depends_on
    assert by_name["backend-2"].readiness == HttpReady("http://127.0.0.1:1012/readyz")
    assert [record.name for record in plan.resources(basis, {}, frozenset())] == ["proxies"]


@pytest.mark.parametrize(("arguments", "expected"), [(["up", "--faults"], True), (["up"], False)])
def test_up_has_proxies_when_it_is_asked_for_faults(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: bool
) -> None:
    asked: list[StackOptions] = []

    def start(options: StackOptions, **_: Any) -> None:
        asked.append(options)
        raise HarnessError("not today")

    monkeypatch.setattr(lifecycle, "start_stack", start)
    with pytest.raises(HarnessError, match="not today"):
        harness.main(args=arguments, prog_name="harness", standalone_mode=False)
    assert [options.proxies for options in asked] == [expected]
