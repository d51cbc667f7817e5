"""``harness up --dev``: what is saved in an editor is served, without a restart by hand."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.actors.errors import Unreachable
from harness.actors.http import Http
from harness.errors import HarnessError
from harness.folders import Folders
from harness.live import SyncLive
from harness.play.observers import Observers
from harness.stack import StackOptions, attach, start_stack
from harness.stack.running import RunningStack
from harness.tests.checkouts import copy_checkout, environment_of
from harness.tests.helpers import eventually

SERVED_WITHIN = 40.0
UP_WITHIN = 110.0
SERIALIZERS = Path("stack", "accounts", "serializers.py")
SCREEN = Path("frontend", "src", "features", "profile", "profile-screen.tsx")


@pytest.fixture
def checkout(tmp_path: Path) -> Folders:
    return copy_checkout(tmp_path / "checkout")


@pytest.fixture
def developed(checkout: Folders) -> Iterator[RunningStack]:
    """A stack of a copied checkout that may be edited."""

    def harness(*arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            cwd=checkout.root,
            env={**os.environ, **environment_of(checkout)},
            timeout=UP_WITHIN,
            check=True,
        )

    harness("up", "--dev", "--detach", "--services", "embedded")
    try:
        yield attach(folders=checkout)
    finally:
        harness("down")


def following(http: Http) -> SyncLive:
    """The live connection of one who is signed in."""
    cookie = "; ".join(f"{name}={value}" for name, value in http.session.items())
    return SyncLive(f"ws{http.base.removeprefix('http')}/live", origin=http.base, headers=lambda: {"Cookie": cookie})


def edit(file: Path, before: str, after: str) -> None:
    """What an editor does when it saves: a whole new file in the place of the old one."""
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{file} holds {before!r} {text.count(before)} times"
    draft = file.with_suffix(".draft")
    draft.write_text(text.replace(before, after), encoding="utf-8")
    draft.replace(file)


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_edits_of_both_ends_are_served_at_once(developed: RunningStack, checkout: Folders) -> None:
    (person,) = [user for user in developed.users if user.name == "bob"]
    with Http(developed.urls.app, observer=Observers(), timeout=60) as http:

        def served() -> str:
            try:
                return http.page("/profile/").text
            except Unreachable:
                # It was asked when it was about to end.
                return ""

        http.json("GET", "/api/session")
        http.json("POST", "/api/session", {"username": person.name, "password": person.password})
        before = served()
        assert "Profile</h1>" in before
        assert '"motto"' not in before

        edit(checkout.root / SCREEN, '<PageColumn title="Profile">', '<PageColumn title="Profile of an editor">')
        edit(
            checkout.root / SERIALIZERS,
            "class ProfileSerializer(serializers.ModelSerializer[Profile]):\n",
            "class ProfileSerializer(serializers.ModelSerializer[Profile]):\n"
            '    motto = serializers.CharField(source="bio", read_only=True)\n\n',
        )
        edit(checkout.root / SERIALIZERS, '"last_name", "bio"]', '"last_name", "bio", "motto"]')
        eventually(lambda: "Profile of an editor</h1>" in served(), within=SERVED_WITHIN, what="the new heading")
        eventually(lambda: '"motto"' in served(), within=SERVED_WITHIN, what="the new field")

        # What is changed from now on comes from the relay, which has to know the field as well.
        user = http.json("GET", "/api/session")["user"]["id"]
        with following(http) as live:

            def told(text: str) -> bool:
                http.json("PATCH", "/api/profile", {"bio": text})
                return live.wait(lambda store: (store.entity("profile", user) or {}).get("motto") == text, within=1)

            texts = (f"edited {number}" for number in itertools.count())
            eventually(lambda: told(next(texts)), within=SERVED_WITHIN, what="the new field in a live event")
    log = Path(developed.resource("worker").log)
    eventually(lambda: log.read_text().count(" ready.") == 2, within=SERVED_WITHIN, what="the worker's second life")


def test_there_is_one_development_server_alone(folders: Folders) -> None:
    options = StackOptions(services="embedded", develop=True, scale={"renderer": 2})
    with pytest.raises(HarnessError, match="only one development server"):
        start_stack(options, folders=folders)
