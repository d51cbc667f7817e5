"""The users that every demo and test knows by name."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Q

from stack.accounts.models import Profile, User

ADMIN = "admin"
NAMES: Mapping[str, tuple[str, str]] = {
    "alice": ("Alice", "Adams"),
    "bob": ("Bob", "Brown"),
    "carol": ("Carol", "Clark"),
    "dave": ("Dave", "Davis"),
    "erin": ("Erin", "Evans"),
    "frank": ("Frank", "Fisher"),
    "grace": ("Grace", "Green"),
    "heidi": ("Heidi", "Hill"),
    "ivan": ("Ivan", "Irving"),
    "judy": ("Judy", "Jones"),
    ADMIN: ("Ada", "Admin"),
}
"""User name -> first and last name."""


@dataclass(frozen=True)
class SeededUser:
    """
    Attributes:
        password: None where it is not known: the user was there before, with a generated one.
    """

    id: int
    name: str
    password: str | None = field(repr=False)
    role: str
    is_new: bool


def email_of(name: str) -> str:
    """The address that the seed gives a user, by which it knows its own again."""
    return f"{name}@example.org"


def only_strangers() -> bool:
    """Whether there are users and the seed made none of them: people who want no test users among them."""
    ours = Q()
    for name in NAMES:
        ours |= Q(username=name, email=email_of(name))
    return User.objects.exists() and not User.objects.filter(ours).exists()


@transaction.atomic
def seed_users(*, demo_passwords: bool) -> list[SeededUser]:
    """Make sure that the ten test users and the admin exist, each with a profile.

    Args:
        demo_passwords: ``NAME-demo`` for all of them; else each new user gets a generated one.
    """
    known = dict(User.objects.filter(username__in=NAMES).values_list("username", "pk"))
    new = [name for name in NAMES if name not in known]
    passwords = {name: f"{name}-demo" if demo_passwords else secrets.token_urlsafe(18) for name in new}
    if new:
        # Hashing is slow by design, and lets other threads run.
        with ThreadPoolExecutor() as pool:
            hashes = list(pool.map(make_password, passwords.values()))
        users = User.objects.bulk_create(
            User(
                username=name,
                email=email_of(name),
                password=password_hash,
                is_staff=name == ADMIN,
                is_superuser=name == ADMIN,
            )
            for name, password_hash in zip(new, hashes, strict=True)
        )
        Profile.objects.bulk_create(
            Profile(user=user, first_name=NAMES[user.username][0], last_name=NAMES[user.username][1]) for user in users
        )
        known |= {user.username: user.pk for user in users}
    return [
        SeededUser(
            id=known[name],
            name=name,
            password=passwords.get(name, f"{name}-demo" if demo_passwords else None),
            role="admin" if name == ADMIN else "user",
            is_new=name in passwords,
        )
        for name in NAMES
    ]
