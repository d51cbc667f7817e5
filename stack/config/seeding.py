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

from stack.accounts.seed import ADMIN, SeededUser, seed_users
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


@transaction.atomic
def seed() -> Seeded:
    """Make sure that the test users exist, and give those made now a chat with each other one.

    What people have deleted since stays deleted.
    """
    users = seed_users(demo_passwords=settings.STACK_ENV is not StackEnv.PRODUCTION)
    people = [user for user in users if user.name != ADMIN]
    pairs = [
        (Person(first.id, first.name), Person(second.id, second.name))
        for first, second in combinations(people, 2)
        if first.is_new or second.is_new
    ]
    return Seeded(users, new_chats=len(seed_direct_chats(pairs)) if pairs else 0)


def write_secret(path: Path, users: Sequence[dict[str, Any]]) -> None:
    """Write the users for this user's eyes only, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(users, file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
