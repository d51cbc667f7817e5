"""Who opens a socket: sessions checked in batches, so that a storm of reconnects costs a few queries."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.http import parse_cookie
from django.utils.crypto import constant_time_compare

from stack.live.db import repeatable_read, urgent
from stack.live.log import Position, read_head
from stack.live.scopes import EVERYONE, user_scope

GATHER = 0.002
MOST_AT_ONCE = 500


@dataclass(frozen=True)
class Identity:
    """A signed-in user, when that ends (by the process's monotonic clock), the scopes held, and where the log stood.

    Attributes:
        session: the session's digest.
        key: the session's key, to ask for it again.
    """

    user: int
    session: str
    expires: float
    scopes: frozenset[str]
    at: Position
    key: str = field(repr=False)


def session_key(headers: Collection[tuple[bytes, bytes]]) -> str | None:
    """The session cookie of a handshake."""
    for name, value in headers:
        if name == b"cookie":
            key = parse_cookie(value.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
            # Whatever Django would never have made is not worth a query; NUL would even fail in it.
            if key and key.isalnum() and key.isascii() and len(key) <= 64:
                return key
    return None


def session_digest(key: str) -> str:
    """How the log names a session: never by its key."""
    return hashlib.sha256(key.encode()).hexdigest()


def identify(keys: Collection[str]) -> dict[str, Identity]:
    """Session key -> identity, for those that are signed in; a fixed number of queries.

    Raises:
        DatabaseError: Postgres is away.
    """
    began = time.monotonic()
    with repeatable_read(read_only=True) as cursor:
        head = read_head(cursor)
        signed_in = signed_in_by(keys)
        scopes: dict[int, set[str]] = defaultdict(set)
        users = list({user for user, _lasts in signed_in.values()})
        cursor.execute("SELECT viewer, scope FROM live_membership WHERE viewer = ANY(%s)", [users])
        for viewer, scope in cursor.fetchall():
            # One text for all who hold the scope, for as long as they are connected.
            scopes[viewer].add(sys.intern(scope))
    return {
        key: Identity(
            user, session_digest(key), began + lasts, frozenset({*scopes[user], user_scope(user), EVERYONE}), head, key
        )
        for key, (user, lasts) in signed_in.items()
    }


def signed_in_by(keys: Collection[str]) -> dict[str, tuple[int, float]]:
    """Session key -> the user's id and for how many seconds the session lasts, for those signed in.

    Two queries, in the caller's transaction. Postgres alone says what time it is: the clocks of processes differ.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore
    lasts = ExpressionWrapper(F("expire_date") - Now(), output_field=DurationField())
    sessions = store.get_model_class().objects.filter(session_key__in=keys, expire_date__gt=Now()).annotate(lasts=lasts)
    data: dict[str, dict[str, Any]] = {}
    left: dict[str, float] = {}
    for row in sessions:
        data[row.session_key], left[row.session_key] = row.get_decoded(), row.lasts.total_seconds()
    ids = {int(d[SESSION_KEY]) for d in data.values() if SESSION_KEY in d}
    users = {user.pk: user for user in get_user_model()._base_manager.filter(pk__in=ids, is_active=True)}
    found = {}
    for key, decoded in data.items():
        user = users.get(int(decoded.get(SESSION_KEY, 0)))
        if user is None or decoded.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
            continue
        if constant_time_compare(decoded.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
            found[key] = (user.pk, left[key])
    return found


class Authenticator:
    """Gathers the handshakes of a moment and checks them together."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[Identity | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def identify(self, key: str) -> Identity | None:
        """The identity behind a session key, or None if it is not signed in.

        Raises:
            DatabaseError: Postgres is away.
        """
        future: asyncio.Future[Identity | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER)
            keys = list(self._waiting)[:MOST_AT_ONCE]
            waiting = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await urgent.run(identify, keys)
            except Exception as error:
                for futures in waiting.values():
                    for future in futures:
                        if not future.done():
                            future.set_exception(error)
                continue
            for key, futures in waiting.items():
                for future in futures:
                    if not future.done():
                        future.set_result(found.get(key))
