"""Where a scenario plays: binds its roles to people, times its steps and keeps the ledger of its messages."""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness.actors.actor import Actor
from harness.actors.admin import AdminActor
from harness.actors.device import Part
from harness.actors.errors import ActorError, NeedsControl, NotPossible
from harness.actors.web import WebActor
from harness.browser.window import LAPTOP, Window
from harness.play.deliveries import SETTLE_WITHIN, Deliveries
from harness.play.errors import NeverSo, OverBudget, ScenarioUnusable, UncleanConsole
from harness.play.happenings import Faults, FaultSpan
from harness.play.moments import Chronicle
from harness.play.observers import Observer, Observers, Step
from harness.play.people import Person, Pool

if TYPE_CHECKING:
    from harness.faults.catalogue import Breach
    from harness.play.eyes import Eyes
    from harness.stack import RunningStack

ADMIN = "admin"
LOOK_EVERY = 0.1


@dataclass(frozen=True, kw_only=True)
class Target:
    """The stack that a stage meets: the base URL of each of its backends.

    `stack` is None for one that runs elsewhere: nothing of it can be broken on purpose, nor people be made.
    """

    backends: tuple[str, ...]
    stack: RunningStack | None = None

    @classmethod
    def of(cls, stack: RunningStack) -> Target:
        return cls(backends=tuple(stack.backends), stack=stack)


class Stage:
    """One play of one scenario; a context manager.

    It holds people and connections until it is closed.
    """

    def __init__(
        self,
        target: Target,
        pool: Pool,
        *,
        cast: Sequence[str] = (),
        observers: Iterable[Observer] = (),
        rehearsal: bool = False,
        stretch: float = 1.0,
        eyes: Eyes | None = None,
        moments: bool = True,
        alone: bool = True,
        seed: int = 0,
    ) -> None:
        """`cast`: roles to bind at once; `rehearsal`: a step over its budget fails.

        `stretch`: what every deadline is multiplied by, for load: there slow is a figure and lost is a failure.
        `eyes`: who sits at a browser; without them everybody does without a window. `moments`: tell the observers
        everything that happens, which takes time. `alone`: nobody else plays on this stack meanwhile, so it may be
        broken and reset. `seed`: of `random`.
        Raises `NobodyLeft`.
        """
        self._target = target
        self._pool = pool
        self._observers = Observers(observers)
        self._rehearsal = rehearsal
        self._stretch = stretch
        self._eyes = eyes
        self._chronicle = Chronicle(self._observers if moments else None)
        self._alone = alone
        self._faults = Faults(lambda: self._chronicle.seconds(time.perf_counter()))
        self.random = random.Random(seed)  # noqa: S311 - chance that can be repeated
        """What a scenario takes its chances from: the same ones when it is played again with the same seed."""
        self._steps = 0
        self._crowd = 0
        self._actors: dict[tuple[str, str | None], Actor] = {}
        self._admin: AdminActor | None = None
        self._open = ExitStack()
        self._people: dict[str, Person] = {}
        self.deliveries = Deliveries(self._observers)
        self._bind(cast)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def actors(self) -> tuple[Actor, ...]:
        """Everybody on stage, each device apart, in the order of their entrance."""
        return tuple(self._actors.values())

    def actor(self, role: str, *, device: str | None = None, window: Window = LAPTOP) -> Actor:
        """The actor in a role, on their only device or the one named; the same each time it is asked for.

        `window`: what they see the app in, where the play has eyes for this role; without them it does not matter.
        Raises `NobodyLeft` if no person is left to play the role.
        """
        key = (role, device)
        if key not in self._actors:
            if role not in self._people:
                self._bind([role])
            part = self._part(role if device is None else f"{role} ({device})", self._people[role])
            actor = self._seated(part, window) if self._eyes and role in self._eyes.roles else WebActor(part)
            self._open.callback(actor.close)
            self._actors[key] = actor
        return self._actors[key]

    def crowd(self, count: int) -> list[Actor]:
        """So many more people, made for this stage, none of whom has a window.

        Raises `NeedsControl` on a stage elsewhere.
        """
        made = self._stack("make people").manage("actors", "--count", str(count), "--json")
        if made.returncode:
            raise NotPossible(f"People could not be made: {made.stderr.strip()[-300:]}")
        crowd: list[Actor] = []
        for row in json.loads(made.stdout):
            self._crowd += 1
            label = f"crowd {self._crowd}"
            actor = WebActor(self._part(label, Person(name=row["name"], session=row["session"])))
            self._open.callback(actor.close)
            self._actors[label, None] = actor
            crowd.append(actor)
        return crowd

    @contextmanager
    def broken(self, kind: str, how: str, **settings: float) -> Generator[Breach]:
        """All resources of a kind, such as ``renderer``, or the one so named, are broken within the block.

        `how` and its settings: ``killed``, ``frozen``, ``failing``, ``latency`` with ``seconds``... as `harness fault`
        lists them. Afterwards they are whole again. Raises `NeedsControl` on a stage elsewhere.
        """
        from harness.faults.catalogue import fault

        with fault(self._stack_alone(f"break the {kind}"), kind, how, **settings) as breach:
            self._chronicle.tell("stack", "fault", breach.what)
            with self._faults.span(breach.what, breach.figures):
                yield breach
        self._chronicle.tell("stack", "fault", f"{', '.join(breach.names)}: whole again")

    @property
    def faults(self) -> tuple[FaultSpan, ...]:
        """Everything that was broken on this stage so far."""
        return self._faults.spans

    def reset(self, state: str) -> None:
        """Bring the database to a named state: ``empty``, ``seeded`` or ``busy``.

        Whoever exists there goes on, everybody else is signed out. Raises `NeedsControl` on a stage elsewhere, or on a
        stack that was not started for this play.
        """
        stack = self._stack_alone("reset the database")
        if not stack.owned:
            raise NeedsControl("This stage can't reset the database: its stack was up before, and keeps its data.")
        with self._chronicle.does("stack", f"the database becomes {state}"):
            stack.reset(state)

    def until(self, condition: Callable[[], bool], what: str, *, within: float) -> None:
        """Look again and again until it is so. Raises `NeverSo` after `within` seconds."""
        deadline = time.monotonic() + within * self._stretch
        while not condition():
            if time.monotonic() >= deadline:
                raise NeverSo(f"Not within {within:g} s: {what}.")
            time.sleep(LOOK_EVERY)

    @property
    def admin(self) -> AdminActor:
        """The person who works in the Django admin. Raises `NobodyLeft` if the stack has none to spare."""
        if self._admin is None:
            person = self._borrow([ADMIN], role="admin")[ADMIN]
            self._admin = AdminActor(person, base=self._backend(), observer=self._observers, chronicle=self._chronicle)
            self._open.callback(self._admin.close)
        return self._admin

    @contextmanager
    def step(self, title: str, *, cue: str | None = None, budget: float | None = None) -> Generator[None]:
        """One named part of the scenario.

        `cue`: what a presenter says here; `budget`: seconds it should take at most. A step over its budget is
        shown so, and fails with `OverBudget` in a rehearsal only.
        """
        self._steps += 1
        number = self._steps
        step = Step(title=title, cue=cue, budget=budget)
        self._observers.step(step)
        began = time.perf_counter()
        error: str | None = None
        try:
            yield
        except BaseException as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            at = self._chronicle.seconds(began)
            step = replace(step, at=at, seconds=time.perf_counter() - began, error=error)
            self._observers.step(step)
            self._take_pictures(f"{number:02d} {title}", failed=error is not None)
        if self._rehearsal and step.over_budget:
            raise OverBudget(f"{title!r} took {step.seconds:.1f} s of {budget:g} s.")

    def unique(self, text: str) -> str:
        """`text` with a mark that no other call gives, so that nothing else is mistaken for it."""
        return f"{text} {secrets.token_hex(4)}"

    def settle(self, within: float = SETTLE_WITHIN) -> None:
        """Wait, at most `within` seconds, until every message has reached everyone. Raises `LostDelivery`."""
        self.deliveries.settle(within * self._stretch)

    def judge(self) -> None:
        """What went wrong in anybody's window must have been expected. Raises `UncleanConsole`."""
        lines = [f"  {actor.label}: {trouble}" for actor in self.actors for trouble in actor.unexpected_trouble]
        if lines:
            raise UncleanConsole(
                f"{len(lines)} times something went wrong in a window that the scenario did not expect:\n"
                + "\n".join(lines)
            )

    def close(self) -> None:
        """Everybody leaves; other stages can have the people."""
        self._open.close()

    def _bind(self, roles: Sequence[str]) -> None:
        self._people.update(self._borrow(roles))

    def _borrow(self, roles: Sequence[str], role: str = "user") -> dict[str, Person]:
        people = self._pool.borrow(roles, role=role)
        self._open.callback(self._pool.give_back, list(people.values()))
        return people

    def _stack(self, do: str) -> RunningStack:
        if self._target.stack is None:
            raise NeedsControl(f"This stage can't {do}: its stack runs elsewhere.")
        return self._target.stack

    def _stack_alone(self, do: str) -> RunningStack:
        if not self._alone:
            raise ScenarioUnusable(
                f"This scenario can't {do}, as others may play on the same stack meanwhile.",
                hint="Write it as @scenario(..., alone=True).",
            )
        return self._stack(do)

    def _part(self, label: str, person: Person) -> Part:
        return Part(
            label=label,
            person=person,
            base=self._backend(),
            observer=self._observers,
            deliveries=self.deliveries,
            company=self._actors.values,
            unique=self.unique,
            stretch=self._stretch,
            chronicle=self._chronicle,
        )

    def _seated(self, part: Part, window: Window) -> Actor:
        # Playwright takes long to import, and locust's process never needs it.
        from harness.actors.browser import BrowserActor

        assert self._eyes is not None
        return BrowserActor(part, browsers=self._eyes.browsers, window=window, folder=self._eyes.folder)

    def _take_pictures(self, name: str, *, failed: bool) -> None:
        for actor in self.actors:
            # A window that can't be pictured is told of by whoever uses it.
            with suppress(ActorError):
                actor.screenshot(name, failed=failed)

    def _backend(self) -> str:
        """Each newcomer is served by another backend, so that messages cross between them."""
        count = len(self._actors) + (self._admin is not None)
        return self._target.backends[count % len(self._target.backends)]
