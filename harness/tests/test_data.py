"""Passwords, places and what is already there."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest

from harness.errors import DataUnusable, DiskFull, PlaceUnusable
from harness.folders import Folders, place_trouble, private_folder, write_private
from harness.services import postgres
from harness.services.account import Account, owned_folder, relocation, server_account, usable_folder
from harness.services.credentials import FILE, Credentials
from harness.services.embedded import EmbeddedSource


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_passwords_are_made_once_and_for_their_owner_alone(tmp_path: Path) -> None:
    first = Credentials.load_or_make(tmp_path)
    assert Credentials.load_or_make(tmp_path) == first
    assert mode(tmp_path / FILE) == 0o600
    assert len({first.postgres, first.redis, first.secret_key}) == 3


@pytest.mark.parametrize("content", ["", "{}", '{"postgres": "only"}'])
def test_a_broken_password_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(DataUnusable, match=FILE):
        Credentials.load_or_make(tmp_path)


def test_kept_data_without_its_passwords_is_refused(folders: Folders) -> None:
    source = EmbeddedSource.kept(folders)
    (source.folder / "postgres").mkdir()
    (folders.data / FILE).unlink()
    with pytest.raises(DataUnusable, match="passwords"):
        EmbeddedSource.kept(folders)


def test_a_private_file_never_follows_a_link_and_leaves_no_draft(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    target = tmp_path / "file"
    target.symlink_to(elsewhere)
    write_private(target, "content")
    assert elsewhere.read_text() == "untouched"
    assert target.read_text() == "content"
    assert mode(target) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "file"]


def test_data_below_a_private_home_goes_where_the_servers_can_reach_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    found = usable_folder(home / ".data", server_account(), root=home)
    moved = Path("/var/tmp") / relocation(home).name
    try:
        # As an ordinary user the servers are our own processes, and everything stays where it is.
        assert found.is_relative_to(moved if os.geteuid() == 0 else home)
        assert usable_folder(home / ".data", server_account(), root=home) == found
    finally:
        shutil.rmtree(moved)


def test_a_folder_that_somebody_put_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(DataUnusable, match="somebody else"):
        owned_folder(tmp_path / "link", mode=0o700)


def test_data_of_another_version_is_refused_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("9\n")
    with pytest.raises(DataUnusable, match="PostgreSQL 9") as caught:
        postgres.check_cluster(tmp_path, None)
    assert "Move" in caught.value.hint


def test_the_pid_file_of_a_crash_is_cleared_even_if_its_number_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text(postgres.version().split(".")[0])
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n/somewhere\n")
    postgres.check_cluster(tmp_path, None)
    assert not (tmp_path / "postmaster.pid").exists()


def test_data_of_another_account_is_refused_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text(postgres.version().split(".")[0])
    other = Account(uid=os.geteuid() + 54_321, gid=0)
    with pytest.raises(DataUnusable, match="belongs to") as caught:
        postgres.check_cluster(tmp_path, other)
    assert "Start it as the one who made it" in caught.value.hint


def test_a_place_of_somebody_else_is_one_sentence_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as caught:
        private_folder(tmp_path / "file" / "runs")
    trouble = place_trouble(caught.value)
    assert isinstance(trouble, PlaceUnusable)
    assert str(trouble) == f"{tmp_path}/file/runs cannot be used: Not a directory."
    assert "HARNESS_RUNS" in trouble.hint
    assert isinstance(place_trouble(OSError(errno.ENOSPC, "full")), DiskFull)
    assert place_trouble(BrokenPipeError()) is None
