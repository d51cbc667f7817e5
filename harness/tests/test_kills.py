"""kill -9 under live traffic: whatever dies at whatever moment, everybody ends with everything, once."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from harness.stack import RunningStack
from harness.tests.traffic import SENT_WITHIN, Device, committed, leader

QUICK = 1
"""How many moments of each kill are part of every run; the others are heavy."""
MESSAGES = 200
SENDERS = 2
CONVERGED_WITHIN = 60.0


@pytest.mark.parametrize(
    "seed", [*range(QUICK), *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(QUICK, 10))]
)
@pytest.mark.parametrize("victim", ["redis", "relay", "backend-1"])
def test_a_kill_loses_and_repeats_nothing(
    stack: RunningStack, devices: list[Device], victim: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    random = Random(f"{victim} {seed}")
    sent = threading.Semaphore(0)
    chat = devices[0].http.json("POST", "/api/chats", {"title": "", "members": [d.user for d in devices[1:]]})["id"]
    client_ids = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(MESSAGES)]
    moment = random.randrange(MESSAGES // 10, MESSAGES * 8 // 10)

    def talk(sender: int) -> None:
        for number in range(sender, MESSAGES, SENDERS):
            message = devices[sender].send(chat, client_ids[number], f"message {number}")
            if number in deleted:
                devices[sender].delete(chat, message)
            sent.release()

    def break_something() -> str:
        for _ in range(moment):
            assert sent.acquire(timeout=SENT_WITHIN), "the senders have stopped"
        name = leader(stack) if victim == "relay" else victim
        stack.kill(name)
        stack.start(name)
        return name

    deleted = set(random.sample(range(MESSAGES), MESSAGES // 10))
    with ThreadPoolExecutor(SENDERS + 1) as pool:
        talking = [pool.submit(talk, sender) for sender in range(SENDERS)]
        killed = pool.submit(break_something).result()
        for future in talking:
            future.result()

    began = time.monotonic()
    expected = committed(stack, chat)
    assert expected == {client_id for number, client_id in enumerate(client_ids) if number not in deleted}
    for device in devices:
        complete = device.holds_all_of(chat, expected, deadline=began + CONVERGED_WITHIN)
        assert complete, f"user {device.user}: {device.live.state}, {device.live.error}"
    with capsys.disabled():
        print(
            f"\n{killed} killed, seed {seed}: after message {moment}, complete {time.monotonic() - began:.2f} s later"
        )
    for device in devices:
        assert device.equals_a_fresh_snapshot(within=10), f"user {device.user} differs from a fresh snapshot"
        assert device.live.read(lambda store: store.counts.holes) == 0
