"""Page data: what a page is rendered from, who asks and what they see, read in one state of the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stack.live.db import Threads, repeatable_read
from stack.live.identity import signed_in_by
from stack.live.log import encode
from stack.live.registry import registry
from stack.live.snapshot import PAGE, snapshot_in

VERSION = 1
ELSEWHERE = 1
"""How many of the newest of a long type there are of scopes that the page does not show."""

threads = Threads("pages", count=4)
"""Apart from those of the sockets: a storm of reconnects does not keep pages waiting, nor they it."""


@dataclass(frozen=True)
class Reading:
    """
    Attributes:
        user: who is signed in.
        visible: whether they see all that the page shows.
        body: the page data as JSON in UTF-8.
    """

    user: int | None
    visible: bool
    body: bytes


def read(session: str, *, path: str, shown: tuple[str, ...], snapshot: bool) -> Reading:
    """The page data for who has this session. Blocks: run it on `threads`.

    Args:
        path: the address, as it goes into the data.
        shown: the scopes whose newest few the page shows.
        snapshot: False to learn only who asks.

    Raises:
        django.db.Error: Postgres is away.
    """
    taken: dict[str, Any] | None = None
    with repeatable_read(read_only=True) as cursor:
        user, _lasts = signed_in_by([session]).get(session, (None, None))
        if user is not None and snapshot:
            taken = snapshot_in(cursor, user, windows=(dict.fromkeys(shown, PAGE), ELSEWHERE))
    visible = not shown or (taken is not None and all(scope in taken["scopes"] for scope in shown))
    return Reading(user, visible, body_of(path, user, taken))


def nobody(path: str) -> Reading:
    """The page data for who is not signed in; asks no database."""
    return Reading(None, visible=True, body=body_of(path, None, None))


def body_of(path: str, user: int | None, snapshot: dict[str, Any] | None) -> bytes:
    """The page data for a snapshot frame, as JSON in UTF-8."""
    held = snapshot and {
        "epoch": snapshot["epoch"],
        "seq": snapshot["seq"],
        "orders": registry.orders,
        "scopes": snapshot["scopes"],
    }
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    data = {"version": VERSION, "path": path, "now": now, "user": user, "snapshot": held}
    # Half a surrogate pair, which an address may hold, is no UTF-8.
    return encode(data).encode("utf-8", "replace")
