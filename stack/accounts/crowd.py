"""People to fill a database with: known by their names again, without a password, never signed in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db import transaction

from stack.accounts.models import Profile, User

DOMAIN = "crowd.example.org"
"""Of the addresses of these people: nobody else is taken for one of them."""

FIRST = (
    ("amira", "Amira"),
    ("bjorn", "Björn"),
    ("chen", "Chen"),
    ("dilnoza", "Dilnoza"),
    ("emeka", "Emeka"),
    ("fatou", "Fatou"),
    ("giulia", "Giulia"),
    ("haruto", "陽斗"),
    ("ines", "Inês"),
    ("jelena", "Јелена"),
    ("kwame", "Kwame"),
    ("leila", "ليلى"),
    ("maria", "Μαρία"),
    ("noa", "נועה"),
    ("olena", "Олена"),
    ("priya", "प्रिया"),
)
LAST = (
    ("abara", "Abara"),
    ("costa", "da Costa"),
    ("diallo", "Diallo"),
    ("eriksson", "Eriksson"),
    ("haddad", "حداد"),
    ("ivanova", "Іванова"),
    ("kaya", "Kaya"),
    ("li", "李"),
    ("muller", "Müller"),
    ("nguyen", "Nguyễn"),
    ("oconnor", "O’Connor"),
    ("sato", "佐藤"),
    ("silva", "Silva"),
)


@transaction.atomic
def crowd_create(*, count: int, joined: datetime) -> list[User]:
    """Make sure that the first ``count`` people of the crowd exist, each with a profile.

    Args:
        joined: when those made now came.
    """
    wanted = {name: names for (name, names), _ in zip(_names(), range(count), strict=False)}
    users = User.objects.filter(username__in=wanted, email__endswith=f"@{DOMAIN}")
    known = {user.username: user for user in users}
    made = User.objects.bulk_create(
        User(
            username=name,
            email=f"{name}@{DOMAIN}",
            # Unusable, and of each user its own.
            password=make_password(None),
            date_joined=joined,
        )
        for name in wanted
        if name not in known
    )
    Profile.objects.bulk_create(
        Profile(user=user, first_name=wanted[user.username][0], last_name=wanted[user.username][1]) for user in made
    )
    known |= {user.username: user for user in made}
    return [known[name] for name in wanted]


def _names() -> Iterator[tuple[str, tuple[str, str]]]:
    """User name -> first and last name, without end; neighbours share neither name."""
    number = 0
    while True:
        round_, place = divmod(number, len(FIRST) * len(LAST))
        first, last = FIRST[place % len(FIRST)], LAST[place % len(LAST)]
        suffix = f".{round_ + 1}" if round_ else ""
        yield f"{first[0]}.{last[0]}{suffix}", (first[1], last[1])
        number += 1
