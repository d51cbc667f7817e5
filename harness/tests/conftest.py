"""Fixtures for the tests of services and stack: folders of their own, and one pair of real servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.browser.driver import Browsers
from harness.folders import CHECKOUT, Folders
from harness.services.account import server_account, usable_folder
from harness.stack import RunningStack, StackOptions, start_stack
from harness.tests.proxying import Proxied
from harness.tests.small_app import SmallApp, small_app
from harness.tests.traffic import Device, devices_of, people


def folders_below(path: Path) -> Folders:
    """Runs and data below ``path``; the cache is the checkout's, so that templates are made only once."""
    return Folders(root=CHECKOUT, runs=path / "runs", data=path / "data", cache=CHECKOUT / ".cache")


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Folders]:
    """Folders of this test's own."""
    folders = folders_below(tmp_path)
    yield folders
    if folders.data.exists():
        # For root the servers' data lies elsewhere, as their account cannot reach pytest's folders.
        shutil.rmtree(usable_folder(folders.data, server_account(), root=folders.root))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Throwaway Postgres and Redis, shared by the tests of a module."""
    options = StackOptions(services="embedded", resources=frozenset({"postgres", "redis"}))
    with start_stack(options, folders=folders_below(tmp_path_factory.mktemp("servers"))) as stack:
        yield stack


@pytest.fixture(scope="module")
def browsers() -> Iterator[Browsers]:
    """Browsers for the tests of a module."""
    with Browsers.found() as found:
        yield found


@pytest.fixture(scope="module")
def company(stack: RunningStack) -> list[tuple[int, str]]:
    """Seven new people on the session's stack, with a session each."""
    return people(stack, 7)


@pytest.fixture
def devices(stack: RunningStack, company: list[tuple[int, str]]) -> Iterator[list[Device]]:
    """All of them with the app open."""
    with devices_of(stack, company) as made:
        yield made


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Proxies as a process, in front of two servers."""
    with Proxied(tmp_path_factory.mktemp("p")) as proxied:
        yield proxied


@pytest.fixture
def proxied(proxies: Proxied) -> Iterator[Proxied]:
    """The same, whose connections end with the test."""
    yield proxies
    proxies.hang_up()


@pytest.fixture
def app() -> Iterator[SmallApp]:
    """The tests' small app, served."""
    with small_app() as served:
        yield served
