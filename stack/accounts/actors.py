"""Users in bulk for simulated people: without a password, signed in from the start."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string

from stack.accounts.models import Profile, Session, User
from stack.accounts.sessions import SessionStore

BATCH = 1000


@dataclass(frozen=True)
class Actor:
    """
    Attributes:
        session: the value of the session cookie; as good as a password.
    """

    name: str
    user: int
    session: str = field(repr=False)


@transaction.atomic
def actors_create(*, count: int) -> list[Actor]:
    """Create users with profiles and sessions, in a handful of statements."""
    batch = secrets.token_hex(4)
    users = User.objects.bulk_create(
        # An unusable password is random, so that each session's hash is its own.
        (User(username=f"actor-{batch}-{i}", password=make_password(None)) for i in range(1, count + 1)),
        batch_size=BATCH,
    )
    Profile.objects.bulk_create(
        (Profile(user=user, first_name="Actor", last_name=user.username.rpartition("-")[2]) for user in users),
        batch_size=BATCH,
    )
    store = SessionStore()
    expire_date = timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    sessions = Session.objects.bulk_create(
        (
            Session(
                session_key=get_random_string(32, VALID_KEY_CHARS),
                session_data=store.encode(
                    {
                        SESSION_KEY: str(user.pk),
                        BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
                        HASH_SESSION_KEY: user.get_session_auth_hash(),
                    }
                ),
                expire_date=expire_date,
                user=user,
            )
            for user in users
        ),
        batch_size=BATCH,
    )
    return [
        Actor(name=user.username, user=user.pk, session=session.session_key)
        for user, session in zip(users, sessions, strict=True)
    ]
