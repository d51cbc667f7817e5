"""What actors of all kinds share: their part on stage, their requests, the marker that proves they are up to date."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.actors.actor import SETTLE_WITHIN, Actor, Chat
from harness.actors.errors import NotPossible
from harness.actors.http import Http
from harness.live import LiveStore
from harness.play.deliveries import Deliveries, Receiver
from harness.play.moments import Chronicle
from harness.play.observers import Observer
from harness.play.people import Person

T = TypeVar("T")


def _nobody() -> Chronicle:
    return Chronicle(None)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Who plays and what the stage gives them."""

    label: str
    person: Person
    base: str
    """The server's address."""
    observer: Observer
    deliveries: Deliveries
    company: Callable[[], Iterable[Actor]]
    """Everybody on stage, this actor included."""
    unique: Callable[[str], str]
    stretch: float = 1.0
    """What every `within` is multiplied by."""
    chronicle: Chronicle = field(default_factory=_nobody)


class Requests:
    """Tells of an actor's requests: how long they took to the observer, that they happened to the chronicle."""

    def __init__(self, label: str, observer: Observer, chronicle: Chronicle) -> None:
        self._label = label
        self._observer = observer
        self._chronicle = chronicle

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        """A request ended; `name` is its path without ids."""
        self._observer.request(method, name, ms, error)
        if self._chronicle.listens:
            outcome = "" if error is None else f"{error}, "
            text = f"{method} {name}: {outcome}{ms:.0f} ms"
            self._chronicle.tell(self._label, "request", text, failed=error is not None)


class Device(ABC):
    """Base of the actors who use the app."""

    def __init__(self, part: Part) -> None:
        self.label = part.label
        self.person = part.person
        self.base = part.base
        self._part = part
        self._chronicle = part.chronicle
        self._deliveries = part.deliveries
        self._stretch = part.stretch
        self._requests = Requests(part.label, part.observer, part.chronicle)
        self._http = Http(part.base, observer=self._requests)
        self._user: int | None = None

    @property
    def user(self) -> int:
        """The id of the person's user; signs in if that has not been done."""
        if self._user is None:
            self.signs_in()
        assert self._user is not None
        return self._user

    @abstractmethod
    def signs_in(self) -> None:
        """Sign in, or go on with the session the person came with."""

    def catches_up(self, *, within: float = SETTLE_WITHIN) -> None:
        """Wait until everything that was committed before this call has come in.

        The first marker proves that the events of all earlier commits are in the log; those written in one go
        with it may still follow it, so a second one, which is written after them, has to come as well.
        """
        bio = str(self._http.json("GET", "/api/profile")["bio"])
        marker = self._part.unique("marker")
        try:
            self._patch_profile({"bio": marker})
            self._gets_own_bio(marker, within)
        finally:
            self._patch_profile({"bio": bio})
        self._gets_own_bio(bio, within)

    @abstractmethod
    def read(self, reader: Callable[[LiveStore], T]) -> T:
        """What `reader` makes of the client's store. Raises `NotPossible` before a screen is open."""

    def fresh_store(self) -> dict[str, Any]:
        """What the store would hold for a client that asks anew for as much as this one holds."""
        orders, bounds = self.read(lambda store: (store.orders, store.bounds()))
        fresh = LiveStore(orders=orders)
        fresh.apply_snapshot(self._http.json("POST", "/api/live/snapshot", {"bounds": bounds}))
        return fresh.canonical()

    @abstractmethod
    def _gets_own_bio(self, bio: str, within: float) -> None:
        """Wait until the store has it. Raises `NotSeen`."""

    def _patch_profile(self, values: dict[str, str]) -> None:
        self._http.json("PATCH", "/api/profile", values)

    def _signed_in_as(self) -> int | None:
        """The id of the user whose session the requests carry."""
        account: dict[str, Any] | None = self._http.json("GET", "/api/session")["user"]
        return None if account is None else int(account["id"])

    def _session_has_ended(self) -> NotPossible:
        return NotPossible(f"The session that {self.person.name} came with has ended: make new ones.")

    def _receivers(self, chat: Chat) -> list[Receiver]:
        """Every device of every member of a chat that is open."""
        return [actor for actor in self._part.company() if actor.has_opened and actor.user in chat.members]

    def _expect(self, message: str, text: str, chat: Chat, receivers: list[Receiver], *, began: float) -> None:
        """From now on the message with this client id has to come to the receivers."""
        about = f"{text!r} from {self.label} in {chat.title!r} (user {self.user})"
        self._deliveries.expect(message, receivers, about=about, began=began)


def shown(values: dict[str, str]) -> str:
    """Fields and their values, for people."""
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())
