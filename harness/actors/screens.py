"""What an actor sees: the lines of each screen, rendered from the client's store by pure functions.

Names, unread counts and partners are worked out here, as a client does: the live data holds ids only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from harness.actors.errors import NotPossible

SCREENS = "/chats, /chats/<id>, /profile, /people, /jobs"

Entity = Mapping[str, Any]


class Store(Protocol):
    """The part of a client's store that screens read."""

    @property
    def user(self) -> int | None: ...

    def entities(self, type_: str, /) -> Sequence[Entity]: ...

    def entity(self, type_: str, id_: int, /) -> Entity | None: ...


class UnknownScreen(NotPossible):
    """No screen has this path."""


def render(store: Store, path: str) -> list[str]:
    """The lines of the screen at `path`, from top to bottom. Raises `UnknownScreen`."""
    for pattern, screen in _SCREENS:
        if match := pattern.fullmatch(path):
            return screen(store, *(int(group) for group in match.groups()))
    raise unknown(path)


def unknown(path: str) -> UnknownScreen:
    """The error for a path that no screen has."""
    return UnknownScreen(f"There is no screen {path!r}; there are: {SCREENS}.")


def is_screen(path: str) -> bool:
    """Whether a screen has this path."""
    return any(pattern.fullmatch(path) for pattern, _ in _SCREENS)


def name_of(store: Store, user: int) -> str:
    """How the app names a user: by the profile, or by number while that is empty or not visible."""
    profile = store.entity("profile", user) or {}
    name = f"{profile.get('first_name') or ''} {profile.get('last_name') or ''}".strip()
    return name or f"user {user}"


def unread(store: Store, chat: int) -> int:
    """How many messages of a chat the store's own user has not read."""
    held = store.entity("chat", chat)
    if held is None:
        return 0
    marks = [mark["number"] for mark in store.entities("read_mark") if mark["chat"] == chat]
    return max(0, int(held["last_number"]) - max(marks, default=0))


def messages_of(store: Store, chat: int) -> list[Entity]:
    """The messages of a chat that the store holds, oldest first."""
    return sorted(
        (message for message in store.entities("message") if message["chat"] == chat),
        key=lambda one: one["number"],
    )


def title_of(store: Store, chat: Entity) -> str:
    """The chat's title, or who else is in it where it has none."""
    others = [name for user, name in _members(store, chat["id"]) if user != store.user]
    return str(chat["title"]) or ", ".join(others) or "Only you"


def _chats(store: Store) -> list[str]:
    lines: list[str] = []
    for chat in sorted(store.entities("chat"), key=lambda one: one["id"]):
        count = unread(store, chat["id"])
        lines.append(f"{title_of(store, chat)} ({count} unread)" if count else title_of(store, chat))
        lines.extend(f"  {_said(store, message)}" for message in messages_of(store, chat["id"])[-1:])
    return lines or ["No chats yet"]


def _chat(store: Store, id: int) -> list[str]:
    chat = store.entity("chat", id)
    if chat is None:
        return ["This chat does not exist or is not yours"]
    lines = [title_of(store, chat), f"with {', '.join(name for _, name in _members(store, id))}"]
    lines += [_said(store, message) for message in messages_of(store, id)]
    if count := unread(store, id):
        lines.append(f"{count} unread")
    return lines


def _members(store: Store, chat: int) -> list[tuple[int, str]]:
    members = [member["user"] for member in store.entities("member") if member["chat"] == chat]
    return sorted(((user, name_of(store, user)) for user in members), key=lambda one: one[1])


def _profile(store: Store) -> list[str]:
    if store.user is None:
        return []
    account = store.entity("account", store.user) or {}
    profile = store.entity("profile", store.user) or {}
    return [
        f"Username: {account.get('username', '')}",
        f"Email: {account.get('email', '')}",
        f"First name: {profile.get('first_name', '')}",
        f"Last name: {profile.get('last_name', '')}",
        f"About me: {profile.get('bio', '')}",
    ]


def _people(store: Store) -> list[str]:
    return sorted(name_of(store, profile["user"]) for profile in store.entities("profile"))


def _jobs(store: Store) -> list[str]:
    jobs = sorted(store.entities("job"), key=lambda one: one["id"], reverse=True)
    return [_job(job) for job in jobs] or ["No jobs yet"]


def _job(job: Entity) -> str:
    line = f"Job {job['id']}, {job['kind']}: {job['state']}, {job['progress']} %"
    return f"{line}, {job['error']}" if job.get("error") else line


def _said(store: Store, message: Entity) -> str:
    return f"{name_of(store, message['sender'])}: {message['text']}"


_SCREENS: tuple[tuple[re.Pattern[str], Callable[..., list[str]]], ...] = (
    (re.compile(r"/chats"), _chats),
    (re.compile(r"/chats/(\d+)"), _chat),
    (re.compile(r"/profile"), _profile),
    (re.compile(r"/people"), _people),
    (re.compile(r"/jobs"), _jobs),
)
