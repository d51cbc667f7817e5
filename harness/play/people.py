"""The people of a stack and which of them are taken by a stage right now."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.play.errors import NobodyLeft, PeopleFileError

if TYPE_CHECKING:
    from harness.stack import RunningStack

HOW_TO_MAKE_PEOPLE = "Make one with `harness manage actors --count 40 --json > FILE`."


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user of the stack: signs in with a password, or comes with a session that is signed in already."""

    name: str
    role: str = "user"
    password: str | None = field(default=None, repr=False)
    session: str | None = field(default=None, repr=False)


class Pool:
    """Lends people to stages, each to one stage at a time. Safe to use from many threads or greenlets."""

    def __init__(self, people: Iterable[Person], *, patience: float = 0.0, warn: Callable[[str], None] | None = None):
        """`patience`: seconds to wait for people whom other stages hold, before `NobodyLeft` is raised."""
        self._people = tuple(people)
        self._free = list(self._people)
        self._changed = threading.Condition()
        self._patience = patience
        self._warn = warn or warnings.warn
        self._warned = False

    def __len__(self) -> int:
        return len(self._people)

    def borrow(self, names: Sequence[str], *, role: str = "user") -> dict[str, Person]:
        """One person for each of `names`, all or none, so that two waiting stages never block each other.

        A person of the same name is preferred; otherwise anybody of that role plays the part.
        Raises `NobodyLeft` if there are not enough people, or not within the pool's patience.
        """
        total = sum(person.role == role for person in self._people)
        if total < len(names):
            raise NobodyLeft(
                f"{len(names)} people with role {role!r} are needed and the stack has {total}.",
                hint="Make more with `harness manage actors --count N`.",
            )
        deadline = time.monotonic() + self._patience
        with self._changed:
            while (chosen := self._choose(names, role)) is None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise NobodyLeft(
                        f"All {total} people with role {role!r} are on other stages.",
                        hint="Play fewer at once or make more people: `harness manage actors --count N`.",
                    )
                self._warn_once(total)
                self._changed.wait(remaining)
            for person in chosen.values():
                self._free.remove(person)
            return chosen

    def give_back(self, people: Iterable[Person]) -> None:
        """Let other stages have these people again."""
        with self._changed:
            self._free.extend(people)
            self._changed.notify_all()

    def _choose(self, names: Sequence[str], role: str) -> dict[str, Person] | None:
        free = [person for person in self._free if person.role == role]
        if len(free) < len(names):
            return None
        same = {person.name: person for person in free if person.name in names}
        others = iter([person for person in free if person.name not in names])
        # Who is free and has a part of their own name plays that, so the others always suffice.
        return {name: same[name] if name in same else next(others) for name in names}

    def _warn_once(self, total: int) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"Only {total} people for this many stages: they take turns, so fewer play at a time.")


def people_of(stack: RunningStack) -> Pool:
    """The seeded people of a running stack."""
    return Pool(Person(name=user.name, password=user.password, role=user.role) for user in stack.users)


def read_people(path: Path) -> list[Person]:
    """People from a JSON file: objects with ``name``, ``role`` and ``password`` or ``session``.

    ``harness manage actors --count N --json`` prints such a list; the record of ``harness up --json`` has
    one too.
    Raises `PeopleFileError` with what is wrong.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PeopleFileError(
            f"The file of people {path} can't be read: {error.strerror}.", hint=HOW_TO_MAKE_PEOPLE
        ) from error
    except ValueError as error:
        raise PeopleFileError(f"The file of people {path} is not JSON: {error}.", hint=HOW_TO_MAKE_PEOPLE) from error
    rows = content.get("users") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not rows:
        raise PeopleFileError(f"The file of people {path} holds no list of people.", hint=HOW_TO_MAKE_PEOPLE)
    return [_person(row, path) for row in rows]


def _person(row: Any, path: Path) -> Person:
    if isinstance(row, dict):
        name, role = row.get("name"), row.get("role", "user")
        password, session = row.get("password"), row.get("session")
        if isinstance(name, str) and isinstance(role, str) and (isinstance(password, str) or isinstance(session, str)):
            return Person(name=name, role=role, password=password, session=session)
    raise PeopleFileError(
        f'Each person in {path} needs a "name" and a "password" or a "session".', hint=HOW_TO_MAKE_PEOPLE
    )
