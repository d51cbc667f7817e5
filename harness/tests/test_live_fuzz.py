"""Whatever is sent to a real server over a live socket: it is answered or closed with a documented code, harms nobody,
and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from harness.folders import CHECKOUT
from harness.stack import RunningStack
from harness.tests import raw
from harness.tests.fuzzing import UNKNOWN, Fuzz, Shot
from harness.tests.helpers import eventually
from harness.tests.traffic import Device, head, people

AT_ONCE = 12
WAVE = 60
PATIENCE = 30.0
SOON = 10.0
RESUME, ABNORMAL = 4409, 1006
CANARY = "only for the members of that chat"
LAST = Shot("last", '{"type":"dance"}', frozenset((UNKNOWN,)), certain=True)
SEED = "LIVE_FUZZ_SEED"


@dataclass
class Attack:
    """Sockets of some users, one after another and some at once, and what became of them."""

    bases: Sequence[str]
    sessions: Sequence[str]
    fuzz: Fuzz
    random: Random
    frames: int = 0
    """A flood counts as one."""
    visits: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def wave(self) -> None:
        """So many sockets, each until it is closed."""
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._visit(number, gate) for number in range(WAVE)))

    async def _visit(self, number: int, gate: asyncio.Semaphore) -> None:
        greets = self.random.random() < 0.85
        hello, shots = self.fuzz.hello(), [*self.fuzz.shots(), LAST] if greets else [self.fuzz.first()]
        session = None if self.random.random() < 0.03 else self.sessions[number % len(self.sessions)]
        async with gate, asyncio.timeout(PATIENCE):
            client = await connect(**raw.options(self.bases[number % len(self.bases)], session))
            async with client:
                ears = asyncio.create_task(self._listen(client, snapshot=greets and session is not None))
                with suppress(ConnectionClosed):
                    if greets:
                        await client.send(hello)
                    for shot in shots:
                        await self._send(client, shot)
                await ears
        self.visits += 1
        self.frames += greets + len(shots)
        self._judge(client, shots, signed_in=session is not None)

    async def _send(self, client: ClientConnection, shot: Shot) -> None:
        if shot.wire:
            assert isinstance(shot.payload, bytes)
            client.transport.write(shot.payload)
        elif shot.count > 1:
            assert isinstance(shot.payload, str)
            for line in shot.payload.splitlines():
                await client.send(line)
        else:
            await client.send(shot.payload)

    async def _listen(self, client: ClientConnection, *, snapshot: bool) -> None:
        with suppress(ConnectionClosed):
            async for text in client:
                frame: dict[str, Any] = json.loads(text)
                if frame["type"] == "welcome" and snapshot and frame["resumed"]:
                    self.wrong.append("a forged cursor was resumed")
                if CANARY in str(text):
                    self.wrong.append(f"a stranger was told: {text!r:.200}")

    def _judge(self, client: ClientConnection, shots: Sequence[Shot], *, signed_in: bool) -> None:
        code = int(client.close_code or ABNORMAL)
        self.codes[code] += 1
        allowed: set[int] = {RESUME}
        for shot in shots:
            allowed |= shot.codes
            if shot.certain:
                break
        # Below WebSocket it is closed at once, before what came earlier is looked at; and where the client still
        # sends, it may never see the close frame.
        allowed.update(*({*shot.codes, ABNORMAL} for shot in shots if shot.wire or shot.kind == "large"))
        if not signed_in:
            allowed.add(4401)
        if code not in allowed:
            kinds = ", ".join(shot.kind for shot in shots)
            self.wrong.append(f"{code} for {kinds}: {[shot.payload[:80] for shot in shots]!r:.600}")


@dataclass(frozen=True)
class Log:
    """What a backend writes from now on."""

    path: Path
    begins: int

    @classmethod
    def of(cls, stack: RunningStack, name: str) -> Log:
        path = Path(stack.resource(name).log)
        return cls(path, path.stat().st_size)

    def complaints(self) -> list[str]:
        with self.path.open("rb") as log:
            log.seek(self.begins)
            lines = log.read().decode(errors="replace").splitlines()
        return [line for line in lines if re.search(r"Traceback|ERROR|CRITICAL|[Ee]xception|never retrieved", line)]


def documented() -> set[int]:
    """The codes that the protocol's table lists."""
    text = (CHECKOUT / "docs" / "live-protocol.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:\d{4}(?:, )?)+) \|", text, flags=re.MULTILINE)
    return {int(code) for row in rows for code in row.split(", ")}


@pytest.mark.parametrize("frames", [1_500, pytest.param(10_000, marks=pytest.mark.heavy)])
@pytest.mark.timeout(600)
def test_nothing_that_is_sent_harms_anybody(
    stack: RunningStack, devices: list[Device], frames: int, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = os.environ.get(SEED) or uuid.uuid4().hex[:8]
    with capsys.disabled():
        print(f"\n{SEED}={seed}")
    random = Random(seed)
    teller, victims = devices[0], devices[1:3]
    members = [victim.user for victim in victims]
    chat = int(teller.http.json("POST", "/api/chats", {"title": CANARY, "members": members})["id"])
    found = people(stack, 6)
    scopes = [
        "everyone",
        f"user:{found[0][0]}",
        f"user:{victims[0].user}",
        f"chat:{chat}",
        "chat:0",
        "chat",
        ":",
        "x y",
    ]
    epoch = teller.live.read(lambda store: store.epoch)
    fuzz = Fuzz(random, scopes=scopes, epoch=epoch)
    attack = Attack(stack.backends, [session for _user, session in found], fuzz, random)
    logs = [Log.of(stack, name) for name in ("backend-1", "backend-2")]
    before = [raw.figures(base) for base in stack.backends]

    while attack.frames < frames:
        asyncio.run(attack.wave())
        message = teller.send(chat, str(uuid.UUID(int=random.getrandbits(128), version=4)), f"{CANARY} {attack.frames}")
        for victim in victims:
            assert hears(victim, message), f"user {victim.user} hears nothing: {victim.live.state}, {victim.live.error}"
        assert not attack.wrong, attack.wrong[:5]

    with capsys.disabled():
        print(f"{attack.frames} frames over {attack.visits} sockets: {dict(sorted(attack.codes.items()))}")
    assert set(attack.codes) - {ABNORMAL} <= documented()
    assert attack.codes[RESUME] <= attack.visits / 50, "too many were merely sent away"
    for victim in victims:
        assert victim.live.error is None
        assert victim.live.resumes + victim.live.snapshots == 1, f"user {victim.user} had to come again"
    for base, figures in zip(stack.backends, before, strict=True):
        eventually(partial(is_as_it_was, base, figures), within=PATIENCE, what=f"{base} is as before {figures}")
    assert [complaint for log in logs for complaint in log.complaints()] == []
    assert head(stack) > 0


def hears(device: Device, message: int) -> bool:
    return device.live.wait(lambda store: store.entity("message", message) is not None, within=SOON)


def is_as_it_was(base: str, before: dict[str, Any]) -> bool:
    """Whether no socket and no task are there that were not."""
    now = raw.figures(base)
    return bool(now["sockets"] == before["sockets"] and now["tasks"] <= before["tasks"])
