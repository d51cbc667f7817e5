"""What a fresh database is filled with, and who was made."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from stack.accounts.seed import ADMIN, SeededUser, only_strangers, seed_users
from stack.chat.seed import Person, seed_direct_chats
from stack.config.environment import StackEnv


@dataclass(frozen=True)
class Seeded:
    """All seeded users, and how many chats are new."""

    users: Sequence[SeededUser]
    new_chats: int

    @property
    def new_users(self) -> list[SeededUser]:
        return [user for user in self.users if user.is_new]

    def as_json(self) -> list[dict[str, Any]]:
        return [{"name": user.name, "password": user.password, "role": user.role} for user in self.users]


class OnlyStrangers(Exception):
    """The database has users, and the seed made none of them."""

    def __init__(self) -> None:
        super().__init__(
            "The database of DATABASE_URL has users whom the seed did not make, so it gets no test users: "
            "name another database."
        )


def refuse_strangers() -> None:
    """Keep test users with known passwords away from other people; in production seeding is asked for by name.

    Raises:
        OnlyStrangers: there are users and none of them is the seed's.
    """
    if settings.STACK_ENV is not StackEnv.PRODUCTION and only_strangers():
        raise OnlyStrangers


@transaction.atomic
def seed(*, demo_passwords: bool | None = None) -> Seeded:
    """Make sure that the test users exist, and give those made now a chat with each other one.

    What people have deleted since stays deleted.

    Args:
        demo_passwords: ``NAME-demo`` for all of them, else generated ones; by default in development only.

    Raises:
        OnlyStrangers: these are other people's users.
    """
    refuse_strangers()
    if demo_passwords is None:
        demo_passwords = settings.STACK_ENV is StackEnv.DEVELOPMENT
    users = seed_users(demo_passwords=demo_passwords)
    people = [user for user in users if user.name != ADMIN]
    pairs = [
        (Person(first.id, first.name), Person(second.id, second.name))
        for first, second in combinations(people, 2)
        if first.is_new or second.is_new
    ]
    return Seeded(users, new_chats=len(seed_direct_chats(pairs)) if pairs else 0)


def write_secret(path: Path, users: Sequence[dict[str, Any]]) -> None:
    """Write the users for this user's eyes only, whole or not at all.

    A password that is not known now but stands in the file already is kept: it is nowhere else.
    """
    known = _passwords_in(path)
    users = [user | {"password": user["password"] or known.get(user["name"])} for user in users]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(users, file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _passwords_in(path: Path) -> dict[str, str]:
    try:
        return {user["name"]: user["password"] for user in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
