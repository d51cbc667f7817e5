"""pg_dump and pg_restore of an older state below connected clients: they end with what the database holds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from harness.stack import RunningStack, StackOptions, start_stack
from harness.tests.conftest import folders_below
from harness.tests.helpers import eventually
from harness.tests.traffic import devices_of, head, people

KINDS = frozenset({"postgres", "redis", "prepare", "backend", "relay"})
ARRIVES_WITHIN = 20.0


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    options = StackOptions(services="embedded", scale={"backend": 2, "relay": 2}, resources=KINDS)
    with start_stack(options, folders=folders_below(tmp_path_factory.mktemp("restore"))) as stack:
        yield stack


def tool(stack: RunningStack, name: str, *arguments: str) -> None:
    """A program that came with the Postgres which runs: another release could not read its database."""
    server = psutil.Process(stack.resource("postgres").pid)
    password = psycopg.conninfo.conninfo_to_dict(stack.direct["DATABASE_URL"])["password"]
    done = subprocess.run(
        [Path(server.exe()).with_name(name), *arguments],
        env={"PGPASSWORD": str(password)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("relays", ["go on", pytest.param("are new", marks=pytest.mark.heavy)])
def test_clients_of_a_restored_database_hold_what_it_holds(own: RunningStack, tmp_path: Path, relays: str) -> None:
    info = psycopg.conninfo.conninfo_to_dict(own.direct["DATABASE_URL"])
    where = ("-h", str(info["host"]), "-p", str(info["port"]), "-U", str(info["user"]), "-d", str(info["dbname"]))
    file = str(tmp_path / "state")
    with devices_of(own, people(own, 3)) as devices:
        chat = devices[0].http.json("POST", "/api/chats", {"title": "kept", "members": [d.user for d in devices[1:]]})
        scope = f"chat:{chat['id']}"
        for device in devices:
            assert device.live.wait(lambda store: scope in store.windows, within=ARRIVES_WITHIN)
        tool(own, "pg_dump", *where, "-Fc", "-f", file)
        rename = "UPDATE chat_chat SET title = %s WHERE id = %s"
        with psycopg.connect(own.direct["DATABASE_URL"], autocommit=True) as database:
            for number in range(5):
                database.execute(rename, [f"lost {number}", chat["id"]])
        for device in devices:
            assert device.live.wait(
                lambda store: (store.entity("chat", chat["id"]) or {})["title"] == "lost 4", within=ARRIVES_WITHIN
            )
        before, epoch = head(own), devices[0].live.read(lambda store: store.epoch)
        if relays == "are new":
            for name in ("relay-1", "relay-2"):
                own.stop_resource(name)
        tool(own, "pg_restore", *where, "--clean", "--if-exists", "--single-transaction", file)
        if relays == "are new":
            for name in ("relay-1", "relay-2"):
                own.start(name)
        for device in devices:
            assert device.live.wait(
                lambda store: store.epoch != epoch and (store.entity("chat", chat["id"]) or {})["title"] == "kept",
                within=ARRIVES_WITHIN,
            ), f"{device.live.state}, {device.live.error}"
        # They hear again, also where the log is as long as it was.
        with psycopg.connect(own.direct["DATABASE_URL"], autocommit=True) as database:
            number = 0
            while head(own) <= before:
                number += 1
                database.execute(rename, [f"again {number}", chat["id"]])
                eventually(
                    lambda: not database.execute("SELECT FROM live_outbox").fetchone(),
                    within=ARRIVES_WITHIN,
                    what="it is told",
                )
        for device in devices:
            assert device.live.wait(
                lambda store: (store.entity("chat", chat["id"]) or {})["title"] == f"again {number}",
                within=ARRIVES_WITHIN,
            )
            assert device.equals_a_fresh_snapshot(within=ARRIVES_WITHIN)
