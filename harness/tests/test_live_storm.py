"""Everybody reconnects in one moment: no entity and no event is read again, and nothing is missed."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from harness.actors.http import SESSION_COOKIE
from harness.live import Swarm
from harness.stack import RunningStack
from harness.tests.observed import Observed, observed
from harness.tests.traffic import Device, committed, devices_of, head, held, people

MOST_STATEMENTS = 50
"""For everybody together."""
A_POLL = 2
"""Statements that the server asks once a second whoever is there."""
LIVE_WITHIN = 60.0
WITHIN = 10.0
MISSED = 5
MEMBERS = 40

# The table of users is not among them: who signs in has to be looked up there.
ENTITIES = re.compile(r"\b(chat_\w+|jobs_job|accounts_profile)\b")
LOG = re.compile(r"\blive_(event|scope|outbox)\b")


Breaks: TypeAlias = Callable[[Observed, Swarm], None]


def cut(server: Observed, swarm: Swarm) -> None:
    swarm.cut()


def killed(server: Observed, swarm: Swarm) -> None:
    server.kill()
    swarm.cut()
    server.start()


def starts_chat(writer: Device, crowd: list[tuple[int, str]]) -> int:
    members = [user for user, _session in crowd[:MEMBERS]]
    return int(writer.http.json("POST", "/api/chats", {"title": "", "members": members})["id"])


def weathers(stack: RunningStack, server: Observed, swarm: Swarm, writer: Device, chat: int, *, breaks: Breaks) -> str:
    """Everybody loses the connection, misses something, and comes back at once; what it cost, in words."""
    breaks(server, swarm)
    for _ in range(MISSED):
        # By those in the chat, and by the cursors of all the others.
        writer.send(chat, str(uuid.uuid4()), "while you were away")
    sent, behind = committed(stack, chat), head(stack)
    assert writer.live.wait(lambda store: store.seq >= behind, within=WITHIN)

    before, began = len(server.statements), time.monotonic()
    swarm.start()
    assert swarm.wait_live(within=LIVE_WITHIN), swarm.troubles()
    took, asked = time.monotonic() - began, server.statements[before:]

    assert swarm.wait(lambda store: held(store, chat) == sent, within=WITHIN, some=range(MEMBERS))
    assert swarm.wait(lambda store: store.seq >= behind, within=WITHIN)
    assert not [statement for statement in asked if ENTITIES.search(statement)]
    assert not [statement for statement in asked if LOG.search(statement)]
    assert 0 < len(asked) <= MOST_STATEMENTS + A_POLL * math.ceil(took), Counter(asked)
    return f"{len(swarm)} reconnect, {breaks.__name__}: live after {took:.2f} s, {len(asked)} statements"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [300, pytest.param(1000, marks=pytest.mark.heavy)])
def test_a_storm_of_reconnects_costs_next_to_nothing(
    stack: RunningStack, tmp_path: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (founder, *crowd) = people(stack, count + 1)
    cookies = [{"Cookie": f"{SESSION_COOKIE}={session}"} for _user, session in crowd]
    with (
        observed(stack, tmp_path) as server,
        devices_of(stack, [founder]) as (writer,),
        Swarm([server.base], cookies, seed=1) as swarm,
    ):
        chat = starts_chat(writer, crowd)
        assert swarm.wait_live(within=LIVE_WITHIN), swarm.troubles()
        for breaks in (cut, killed):
            told = weathers(stack, server, swarm, writer, chat, breaks=breaks)
            with capsys.disabled():
                print(f"\n{told}")
        counts = swarm.counts()
        assert (counts.live, counts.resumes, counts.snapshots, counts.holes) == (count, 2 * count, count, 0)
