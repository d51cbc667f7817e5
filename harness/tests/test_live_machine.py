"""Random writers, random clients, random faults: in the end everybody holds what is there, and was told it in order.

The seed is printed with every run; a run is repeated with ``--hypothesis-seed``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from random import SystemRandom

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from harness.faults.catalogue import Breach, fault
from harness.stack import RunningStack
from harness.tests.machine_world import World
from harness.tests.machine_writers import Bulk
from harness.tests.traffic import leader, people

PEOPLE, MORE = 5, 2
CLIENTS = PEOPLE + MORE
QUICK_SEED = 194
FLAPS = 20
DWELL = 2.5
"""Seconds that a fault lasts, unless everything was taken and told in spite of it."""

BREAKS = [
    (victim, how)
    for victim in ("redis", "relay", "backend-1", "backend-2", "postgres")
    for how in ("killed", "frozen", "restarted")
] + [("backends", "rolling")]

chats = st.integers(0, 1)
others = st.integers(1, PEOPLE - 1)
clients = st.integers(0, CLIENTS - 1)


@dataclass
class Ground:
    """What all worlds of a test stand on, and what happened in the newest."""

    stack: RunningStack
    found: list[tuple[int, str]]
    bulk: Bulk
    worlds: int = 0
    events: int = 0
    broken: int = 0
    harmed: Counter[str] = field(default_factory=Counter)
    harm: Breach | None = None
    story: list[str] = field(default_factory=list)
    failure: BaseException | None = None

    def note_harm(self) -> None:
        """What the layer has done; Redis forgets it whenever it is killed."""
        for name, value in (self.harm.figures() if self.harm else {}).items():
            self.harmed[name] = max(self.harmed[name], int(value))


def machine_on(ground: Ground) -> type[RuleBasedStateMachine]:
    """The machine; hypothesis makes one for each example."""

    class LiveMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            # What failed under faults need not fail again: hypothesis' repetition would tell less than the first time.
            if ground.failure is not None:
                raise ground.failure
            ground.story.clear()
            ground.worlds += 1
            self.busy = 0
            self.world = World(ground.stack, ground.found, ground.bulk, more=MORE)
            try:
                # No rule of its own: hypothesis spends an example on a machine where nothing else happens.
                with self._step("everybody opens the app"):
                    self.world.open()
            except BaseException:
                self.world.close()
                raise

        def teardown(self) -> None:
            try:
                if ground.failure is None:
                    with self._step("the end"):
                        self._check()
            finally:
                ground.events += self.world.crew.events
                self.world.close()

        @rule(way=st.sampled_from(["rest", "bulk", "sql"]), chat=chats, many=st.sampled_from([1, 3, 20]))
        def somebody_sends(self, way: str, chat: int, many: int) -> None:
            with self._step(f"{many} messages by {way} to chat {chat}"):
                self.world.send(way, self.world.chats[chat], many)

        @rule(way=st.sampled_from(["bulk", "sql"]), chat=chats, how=st.sampled_from(["edit", "update", "delete"]))
        def somebody_edits(self, way: str, chat: int, how: str) -> None:
            with self._step(f"{how} by {way} in chat {chat}"):
                self.world.edit(way, self.world.chats[chat], how)

        @rule(way=st.sampled_from(["rest", "sql", "admin"]), person=st.integers(0, PEOPLE - 1))
        def somebody_is_renamed(self, way: str, person: int) -> None:
            with self._step(f"person {person} is renamed by {way}"):
                self.world.rename(way, person)

        @rule(way=st.sampled_from(["rest", "bulk", "sql"]), chat=chats)
        def a_chat_is_retitled(self, way: str, chat: int) -> None:
            with self._step(f"chat {chat} is retitled by {way}"):
                self.world.retitle(way, self.world.chats[chat])

        @rule(person=st.integers(0, PEOPLE - 1))
        def a_worker_writes(self, person: int) -> None:
            with self._step(f"a job of person {person}"):
                self.world.run_job(person)

        @rule(chat=chats)
        def everybody_reads(self, chat: int) -> None:
            with self._step(f"chat {chat} is read"):
                self.world.read(self.world.chats[chat])

        @rule(
            person=others,
            chat=chats,
            way=st.sampled_from(["rest", "bulk", "sql"]),
            back=st.sampled_from(["rest", "bulk", "sql", None]),
            offline=st.booleans(),
        )
        def somebody_leaves(self, person: int, chat: int, way: str, back: str | None, offline: bool) -> None:
            with self._step(
                f"person {person} leaves chat {chat} by {way}, back by {back}{' meanwhile offline' * offline}"
            ):
                if offline:
                    self.world.crew.cut(person)
                self.world.send_away(person, self.world.chats[chat], way, back=back)
                self.world.send("sql", self.world.chats[chat], 1)
                if offline:
                    self.world.done()
                    self.world.crew.start(person)

        @rule(person=others, chat=chats, way=st.sampled_from(["rest", "bulk", "sql"]))
        def somebody_leaves_while_connecting(self, person: int, chat: int, way: str) -> None:
            with self._step(f"person {person} leaves chat {chat} by {way} while connecting"):
                self.world.send_away(person, self.world.chats[chat], way, back=None)
                for _ in range(FLAPS):
                    self.world.crew.cut(person)
                    self.world.crew.start(person)
                    self.world.crew.wait_live(person, within=1)
                    if self.world.comes_to_rest(within=0):
                        break
                self.world.send("sql", self.world.chats[chat], 1)

        @rule(person=others, chat=chats, way=st.sampled_from(["rest", "bulk", "sql"]))
        def somebody_enters(self, person: int, chat: int, way: str) -> None:
            with self._step(f"person {person} enters chat {chat} by {way}"):
                self.world.let_in(person, self.world.chats[chat], way)

        @rule(chat=chats, way=st.sampled_from(["rest", "bulk"]))
        def a_chat_is_dropped(self, chat: int, way: str) -> None:
            with self._step(f"chat {chat} is dropped by {way}"):
                self.world.drop_chat(chat, way)

        @rule(some=st.sets(clients, min_size=1))
        def some_are_cut(self, some: set[int]) -> None:
            with self._step(f"clients {sorted(some)} are cut"):
                for client in sorted(some):
                    self.world.crew.cut(client)

        @rule(some=st.sets(clients, min_size=1), backend=st.integers(0, 1))
        def some_come_back(self, some: set[int], backend: int) -> None:
            with self._step(f"clients {sorted(some)} come back to backend {backend + 1}"):
                self.world.crew.move(backend)
                for client in sorted(some):
                    self.world.crew.start(client)

        @rule(client=clients)
        def one_is_signed_out(self, client: int) -> None:
            with self._step(f"client {client} is signed out"):
                self.world.sign_out(client)

        @rule(client=clients, chat=chats)
        def one_loads_older(self, client: int, chat: int) -> None:
            with self._step(f"client {client} pages in chat {chat}"):
                self.world.crew.load_older(client, f"chat:{self.world.chats[chat].id}")

        @rule(what=st.sampled_from(BREAKS), bystander=others)
        def something_breaks(self, what: tuple[str, str], bystander: int) -> None:
            with self._step(f"{what[0]} {what[1]}"):
                ground.broken += 1
                self._bustle(bystander)
                with broken(ground.stack, *what):
                    self._bustle(bystander)
                    self.world.comes_to_rest(within=DWELL)

        @precondition(lambda self: self.busy >= 5)
        @rule()
        def all_comes_to_rest(self) -> None:
            with self._step("all comes to rest"):
                self._check()
                self.busy = 0

        def _bustle(self, person: int) -> None:
            first, last = self.world.chats
            for way, chat in (("rest", first), ("bulk", last), ("sql", first)):
                self.world.send(way, chat, 2)
            self.world.rename("admin", person)
            self.world.send_away(person, last, "sql", back="bulk")

        def _check(self) -> None:
            self.world.check()
            ground.note_harm()

        @contextmanager
        def _step(self, what: str) -> Iterator[None]:
            ground.story.append(what)
            self.busy += 1
            try:
                yield
            except BaseException as error:
                error.add_note(f"after: {'; '.join(ground.story)}")
                ground.failure = error
                raise

    return LiveMachine


@contextmanager
def broken(stack: RunningStack, victim: str, how: str) -> Iterator[None]:
    """Break something for the length of the block."""
    if how == "rolling":
        for name in ("backend-1", "backend-2"):
            stack.restart(name)
        yield
        return
    name = leader(stack) if victim == "relay" else victim
    with fault(stack, name, how):
        yield


@pytest.fixture(scope="module")
def company_of_five(stack: RunningStack) -> list[tuple[int, str]]:
    return people(stack, PEOPLE)


@pytest.mark.parametrize(
    ("examples", "steps", "lossy"),
    [
        pytest.param(2, 24, True, id="quick", marks=pytest.mark.timeout(300)),
        pytest.param(12, 30, False, id="long", marks=(pytest.mark.heavy, pytest.mark.timeout(1200))),
        pytest.param(12, 30, True, id="long and lossy", marks=(pytest.mark.heavy, pytest.mark.timeout(1200))),
    ],
)
def test_everybody_ends_with_what_is_there(
    stack: RunningStack,
    company_of_five: list[tuple[int, str]],
    examples: int,
    steps: int,
    lossy: bool,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = request.config.getoption("--hypothesis-seed")
    quick = request.node.get_closest_marker("heavy") is None
    number = int(asked) if asked not in (None, "random") else QUICK_SEED if quick else SystemRandom().getrandbits(32)
    with capsys.disabled():
        print(f"\nrepeat with: --hypothesis-seed={number}")
    ground = Ground(stack, company_of_five, Bulk(stack))
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        with fault(stack, "layer", "lossy") if lossy else nullcontext() as ground.harm:
            run_state_machine_as_test(seed(number)(machine_on(ground)), settings=chosen)
    except Exception as error:
        failure = ground.failure or error
        failure.add_note(f"repeat with: --hypothesis-seed={number}")
        raise failure from None
    finally:
        ground.bulk.close()
    with capsys.disabled():
        print(
            f"{ground.worlds} worlds, {ground.events} events at clients, {ground.broken} faults, {dict(ground.harmed)}"
        )
    assert ground.events > 100 * ground.worlds / 2, "next to nothing happened: this proves nothing"
    if lossy:
        assert ground.harmed.total() > 0, "the layer has harmed nothing"
