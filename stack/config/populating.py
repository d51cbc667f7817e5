"""A database as after weeks of use, for pages that look busy and queries that have something to read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random

from django.conf import settings
from django.db import transaction

from stack.accounts.crowd import crowd_create
from stack.accounts.models import User
from stack.accounts.seed import ADMIN, NAMES, email_of
from stack.chat.crowd import LONGEST_PAST, crowd_chats_create
from stack.config.environment import StackEnv
from stack.config.seeding import refuse_strangers
from stack.live.renewal import start_over

OTHERS = 50
"""How many people beside the test users there are."""


class NotHere(Exception):
    """This database is not to be filled; the sentence says why."""


@dataclass(frozen=True)
class Populated:
    """How many of each were made, and how many people are in them."""

    seed: int
    chats: int
    messages: int
    people: int


def populate(*, chats: int, messages: int, seed: int, until: datetime) -> Populated:
    """Add chats between the test users and fifty others, with messages of the weeks before ``until``.

    What the live engine has not told yet is told by snapshots: all clients load one, and no relay has to turn
    thousands of messages into events.

    Args:
        seed: the same one makes the same of the same database, but for passwords, which nobody has.

    Raises:
        NotHere: in production, or where the test users are missing.
        OnlyStrangers: these are other people's users.
    """
    if settings.STACK_ENV is StackEnv.PRODUCTION:
        raise NotHere("A production database is not filled with made-up chats.")
    refuse_strangers()
    names = [name for name in NAMES if name != ADMIN]
    known = User.objects.filter(username__in=names, email__in=map(email_of, names)).order_by("pk")
    ids = list(known.values_list("pk", flat=True))
    if len(ids) < 2:
        raise NotHere("The test users are missing here: run manage.py seed first.")
    with transaction.atomic():
        others = crowd_create(count=OTHERS, joined=until - 2 * LONGEST_PAST)
        made = crowd_chats_create(
            known=ids,
            others=[user.pk for user in others],
            chats=chats,
            messages=messages,
            random=Random(seed),  # noqa: S311 - made-up texts
            until=until,
        )
    start_over()
    return Populated(
        seed=seed, chats=len(made), messages=sum(chat.last_number for chat in made), people=len(ids) + len(others)
    )
