from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.errors import SourceUnusable
from harness.folders import CHECKOUT, Folders
from harness.services.choose import Choice, choose
from harness.services.embedded import EmbeddedSource
from harness.services.types import Service, Source
from harness.services.url import UrlSource

URLS = {
    "DATABASE_URL": "postgres://u:secret@db.example:5432/app",
    "REDIS_URL": "redis://:secret@r.example:6379/0",
}


def no_engine() -> tuple[Source, str]:
    raise SourceUnusable("No container engine answers.")


def chosen(
    choice: Choice,
    environment: Mapping[str, str],
    folders: Folders,
    *,
    containers: Callable[[], tuple[Source, str]] = no_engine,
) -> tuple[Service, Service]:
    (folders.runs / "run").mkdir(parents=True, exist_ok=True)
    return choose(
        choice,
        environment=environment,
        url=UrlSource(environment=environment, directory=str(CHECKOUT)),
        containers=containers,
        embedded=lambda: EmbeddedSource.throwaway(folders, run="run"),
    )


@pytest.mark.parametrize(
    ("choice", "given", "sources"),
    [
        ("auto", (), ("embedded", "embedded")),
        ("auto", ("DATABASE_URL",), ("url", "embedded")),
        ("auto", ("DATABASE_URL", "REDIS_URL"), ("url", "url")),
        ("embedded", ("DATABASE_URL", "REDIS_URL"), ("embedded", "embedded")),
        ("url", ("DATABASE_URL", "REDIS_URL"), ("url", "url")),
    ],
)
def test_the_source_and_why(folders: Folders, choice: Choice, given: tuple[str, ...], sources: tuple[str, str]) -> None:
    services = chosen(choice, {name: URLS[name] for name in given}, folders)
    assert tuple(service.source for service in services) == sources
    for service, variable in zip(services, URLS, strict=True):
        is_set = "is set" if variable in given else "is not set, no container engine answers"
        assert service.reason == (f"{variable} {is_set}" if choice == "auto" else "asked for")


def test_a_service_from_a_url_is_checked_but_never_started(folders: Folders) -> None:
    postgres, redis = chosen("url", URLS, folders)
    assert postgres.url == URLS["DATABASE_URL"]
    assert postgres.resource.command == redis.resource.command == ()
    assert postgres.resource.url == "postgres://db.example:5432/app"


def test_url_without_the_variable_says_which(folders: Folders) -> None:
    with pytest.raises(SourceUnusable, match="REDIS_URL is not set"):
        chosen("url", {"DATABASE_URL": URLS["DATABASE_URL"]}, folders)


@pytest.mark.parametrize(
    "wrong",
    ["mysql://u:secret@h/d", "postgres://u:secret@/d", "postgres://u:secret@h", "postgres://u:secret@h:x/d"],
)
def test_a_wrong_url_is_refused_without_repeating_it(folders: Folders, wrong: str) -> None:
    with pytest.raises(SourceUnusable, match="DATABASE_URL") as caught:
        chosen("auto", {"DATABASE_URL": wrong}, folders)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_commands_and_addresses_of_embedded_servers_hold_no_password(folders: Folders) -> None:
    for service in chosen("embedded", {}, folders):
        password = service.url.split("@")[0].rsplit(":", 1)[1]
        assert len(password) >= 32
        assert password not in " ".join(service.resource.command)
        assert password not in str(service.resource.endpoints)


def test_ports_and_passwords_differ_from_run_to_run(folders: Folders, tmp_path: Path) -> None:
    other = Folders(root=CHECKOUT, runs=tmp_path / "other", data=tmp_path / "d", cache=folders.cache)
    first, second = chosen("embedded", {}, folders), chosen("embedded", {}, other)
    assert {service.url for service in first}.isdisjoint({service.url for service in second})


class Contained:
    """Stands in for containers, with addresses instead of them."""

    name = "containers"

    def __init__(self, *, lacks: str = "") -> None:
        self.lacks = lacks
        self.other = UrlSource(environment=URLS, directory=str(CHECKOUT), name=self.name)

    def postgres(self, *, reason: str) -> Service:
        return self._service("postgres", reason, self.other.postgres)

    def redis(self, *, reason: str) -> Service:
        return self._service("redis", reason, self.other.redis)

    def _service(self, name: str, reason: str, make: Callable[..., Service]) -> Service:
        if name == self.lacks:
            raise SourceUnusable(f"The image {name} cannot be pulled.")
        return make(reason=reason)


@pytest.mark.parametrize(
    ("choice", "given", "sources"),
    [
        ("auto", (), ("containers", "containers")),
        ("auto", ("DATABASE_URL",), ("url", "containers")),
        ("containers", ("DATABASE_URL", "REDIS_URL"), ("containers", "containers")),
        ("embedded", (), ("embedded", "embedded")),
    ],
)
def test_containers_come_after_urls_and_before_embedded_servers(
    folders: Folders, choice: Choice, given: tuple[str, ...], sources: tuple[str, str]
) -> None:
    asked = []

    def contained() -> tuple[Source, str]:
        asked.append(1)
        return Contained(), "an engine answers"

    services = chosen(choice, {name: URLS[name] for name in given}, folders, containers=contained)
    assert tuple(service.source for service in services) == sources
    reasons = {service.reason for service in services if service.source == "containers"}
    assert reasons <= {"an engine answers" if choice == "auto" else "asked for"}
    assert len(asked) == ("containers" in sources)


def test_what_containers_lack_is_embedded_and_why_is_told(folders: Folders) -> None:
    postgres, redis = chosen("auto", {}, folders, containers=lambda: (Contained(lacks="postgres"), "it answers"))
    assert (postgres.source, redis.source) == ("embedded", "containers")
    assert postgres.reason == "DATABASE_URL is not set, the image postgres cannot be pulled"
    with pytest.raises(SourceUnusable, match="cannot be pulled"):
        chosen("containers", {}, folders, containers=lambda: (Contained(lacks="redis"), "it answers"))


def test_an_engine_that_is_not_there_is_asked_for_once(folders: Folders) -> None:
    asked = []

    def missing() -> tuple[Source, str]:
        asked.append(1)
        return no_engine()

    chosen("auto", {}, folders, containers=missing)
    assert len(asked) == 1
    with pytest.raises(SourceUnusable, match="No container engine answers"):
        chosen("containers", {}, folders)


def test_data_that_is_kept_embedded_stays_the_checkouts_data(folders: Folders) -> None:
    EmbeddedSource.refuse_to_leave(folders)
    kept = EmbeddedSource.kept(folders)
    EmbeddedSource.refuse_to_leave(folders)
    (kept.folder / "postgres").mkdir()
    with pytest.raises(SourceUnusable, match="kept data is embedded") as caught:
        EmbeddedSource.refuse_to_leave(folders)
    assert "--services containers" in caught.value.hint
