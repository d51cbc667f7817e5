"""Fixtures for the tests of services and stack: folders of their own, and one pair of real servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.folders import CHECKOUT, Folders
from harness.services.account import server_account, usable_folder
from harness.stack import RunningStack, StackOptions, start_stack


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
