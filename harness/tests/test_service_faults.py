"""What Postgres and Redis can be asked to suffer: it bites, and it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import suppress

import psycopg
import pytest
import redis

from harness.errors import HarnessError
from harness.faults.catalogue import fault
from harness.folders import CHECKOUT
from harness.stack import RunningStack
from harness.tests.helpers import eventually


def postgres_lets_in(stack: RunningStack) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(stack.direct["DATABASE_URL"]):
        return True
    return False


def redis_answers(stack: RunningStack) -> bool:
    patience = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    with redis.Redis.from_url(stack.direct["REDIS_URL"], socket_timeout=0.3, retry=patience) as client:
        try:
            client.set("key", "value")
        except redis.TimeoutError:
            return False
    return True


def idle_transactions(stack: RunningStack) -> int:
    with psycopg.connect(stack.direct["DATABASE_URL"]) as database:
        row = database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_paused_redis_answers_nobody_until_the_end(servers: RunningStack) -> None:
    with fault(servers, "redis", "paused") as breach:
        assert not redis_answers(servers)
        assert breach.figures()["paused"] > 0
    assert redis_answers(servers)


def test_a_pause_has_no_gap_between_its_turns_and_ends_with_its_block(
    servers: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.faults.services._TURN_MS", 400)
    monkeypatch.setattr("harness.faults.services._RENEW", 0.05)
    answered = threading.Event()

    def ask() -> None:
        with redis.Redis.from_url(servers.direct["REDIS_URL"], socket_timeout=20) as client:
            client.set("key", "value")
            answered.set()

    asking = threading.Thread(target=ask)
    with fault(servers, "redis", "paused") as breach:
        asking.start()
        assert not answered.wait(1.5)
        assert breach.figures()["paused"] > 1
    assert answered.wait(5)
    asking.join()


def test_a_server_that_is_killed_meanwhile_ends_them_all(servers: RunningStack) -> None:
    with fault(servers, "redis", "paused"), fault(servers, "redis", "killed"):
        pass
    assert redis_answers(servers)
    with fault(servers, "postgres", "idle_transaction") as breach:
        with fault(servers, "postgres", "killed"):
            pass
        assert breach.figures()["held"] > 0
    assert idle_transactions(servers) == 0


def test_an_idle_transaction_keeps_back_the_horizon_until_the_end(servers: RunningStack) -> None:
    with fault(servers, "postgres", "idle_transaction") as breach:
        assert idle_transactions(servers) == 1
        with psycopg.connect(servers.direct["DATABASE_URL"], autocommit=True) as other:
            for _ in range(5):
                other.execute("SELECT pg_current_xact_id()")
        assert breach.figures()["kept_back"] >= 5
    assert idle_transactions(servers) == 0


def test_all_connections_are_taken_and_given_back(servers: RunningStack) -> None:
    with fault(servers, "postgres", "exhausted") as breach:
        assert not postgres_lets_in(servers)
        figures = breach.figures()
        assert figures["taken"] > 50
        assert figures["refused"] >= 1
    eventually(lambda: postgres_lets_in(servers), within=5, what="there are connections again")


def test_a_connection_that_somebody_gives_back_is_taken_too(servers: RunningStack) -> None:
    others = psycopg.connect(servers.direct["DATABASE_URL"])
    with fault(servers, "postgres", "exhausted") as breach:
        before = breach.figures()["taken"]
        others.close()
        eventually(lambda: breach.figures()["taken"] > before, within=10, what="it is taken")
        assert not postgres_lets_in(servers)


@pytest.mark.parametrize("how", ["paused", "idle_transaction", "exhausted"])
def test_it_ends_after_an_error_too(servers: RunningStack, how: str) -> None:
    kind = "redis" if how == "paused" else "postgres"
    with suppress(ZeroDivisionError), fault(servers, kind, how):
        raise ZeroDivisionError
    assert redis_answers(servers)
    eventually(lambda: postgres_lets_in(servers), within=5, what="there are connections again")
    assert idle_transactions(servers) == 0


BREAKS = """
import sys
from harness.faults.catalogue import fault
from types import SimpleNamespace
status = SimpleNamespace(name=sys.argv[1])
direct = {"DATABASE_URL": sys.stdin.readline().strip(), "REDIS_URL": sys.stdin.readline().strip()}
stack = SimpleNamespace(direct=direct, resources=lambda: [status])
with fault(stack, *sys.argv[1:]):
    print("broken", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("kind", "how"), [("redis", "paused"), ("postgres", "idle_transaction"), ("postgres", "exhausted")]
)
def test_it_ends_soon_after_whoever_began_it_was_killed(servers: RunningStack, kind: str, how: str) -> None:
    command = [sys.executable, "-c", BREAKS, kind, how]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as breaker:
        assert breaker.stdin is not None
        assert breaker.stdout is not None
        breaker.stdin.write(f"{servers.direct['DATABASE_URL']}\n{servers.direct['REDIS_URL']}\n")
        breaker.stdin.flush()
        assert breaker.stdout.readline() == "broken\n"
        if how == "paused":
            assert not redis_answers(servers)
        breaker.send_signal(signal.SIGKILL)
    eventually(lambda: redis_answers(servers), within=8, what="Redis answers")
    eventually(lambda: postgres_lets_in(servers), within=8, what="Postgres lets people in")
    eventually(lambda: idle_transactions(servers) == 0, within=8, what="nobody is idle in a transaction")


def test_a_layer_that_is_not_made_for_it_loses_nothing(servers: RunningStack) -> None:
    with pytest.raises(HarnessError, match="not made to lose") as caught, fault(servers, "layer", "lossy"):
        pass
    assert "--faults" in caught.value.hint


@pytest.mark.parametrize("settings", [{"drop": -0.1}, {"drop": 0.6, "reorder": 0.6}])
def test_shares_that_cannot_be_are_refused(servers: RunningStack, settings: dict[str, float]) -> None:
    with pytest.raises(HarnessError, match="cannot lose such shares"), fault(servers, "layer", "lossy", **settings):
        pass
