"""What every actor can do, whatever they use the app with: scenarios are written against this alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from harness.actors.errors import View
    from harness.actors.pages import Page
    from harness.live import LiveStore
    from harness.play.people import Person

T = TypeVar("T")

SEE_WITHIN = 2.0
"""Seconds within which a change has to be seen unless a scenario says otherwise."""
SETTLE_WITHIN = 10.0
"""Seconds for what a claim rests on but does not measure: the first snapshot, a marker."""
JOB_WITHIN = 30.0
"""Seconds for a background job to get somewhere."""


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A chat that an actor started; `members` are user ids, its founder included."""

    id: int
    title: str
    members: frozenset[int]

    @property
    def screen(self) -> str:
        """The path of its screen."""
        return f"/chats/{self.id}"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A background job that an actor started."""

    id: int
    kind: str


class Actor(Protocol):
    """One person on one device. Verbs do; `sees...` look, and wait no longer than `within` seconds.

    What can't be seen in time raises `NotSeen`, what the server refuses `Refused`, what this kind of actor has no
    means for `NotPossible`.
    """

    @property
    def label(self) -> str:
        """Who and on which device; unique on the stage."""

    @property
    def person(self) -> Person: ...

    @property
    def base(self) -> str:
        """The server's address."""

    @property
    def user(self) -> int:
        """The id of the person's user; signs in if that has not been done."""

    @property
    def online(self) -> bool:
        """Whether the app is open and meant to be connected."""

    @property
    def connection(self) -> str:
        """The state of the live connection, in words."""

    @property
    def frames(self) -> Sequence[str]:
        """The newest live frames that came in, oldest first, as JSON."""

    @property
    def has_opened(self) -> bool:
        """Whether the app was opened on this device, online or not."""

    # Signing in and out

    def signs_in(self) -> None:
        """Sign in, or go on with the session the person came with."""

    def signs_out(self) -> None:
        """Sign out and close the app."""

    # Looking

    def opens(self, path: str) -> None:
        """Go to a screen, such as ``/chats``; signs in if that has not been done."""

    def loads(self, path: str) -> Page:
        """Load a screen's page by its address and go on with what came along; what the server sent.

        Signs in if that has not been done, unless it is the sign-in page.
        """

    @property
    def data_requests(self) -> Sequence[str]:
        """What the app has asked for since the page was loaded: data that should have come along."""

    def sees(self, text: str, *, within: float = SEE_WITHIN) -> None:
        """`text` is in a line of the screen, now or `within` seconds."""

    def does_not_see(self, text: str) -> None:
        """`text` is in no line of the screen, after everything that has happened so far came in."""

    def never_received(self, *texts: str) -> None:
        """None of `texts` was in anything that this device was ever sent, whatever the screen."""

    def lines(self) -> list[str]:
        """The lines of the screen as it is now."""

    def view(self) -> View:
        """What the actor has before them, for a report; never raises."""

    # Chats

    def starts_chat(self, title: str, *, with_: Sequence[Actor]) -> Chat:
        """Start a chat with others and be its owner."""

    def sends(self, text: str, *, to: Chat, keep_trying: float = 0.0) -> None:
        """Send a message; the stage expects it on every device of every member that has the app open.

        `keep_trying`: seconds to send it again while no server answers; it is still made only once.
        """

    def marks_read(self, chat: Chat) -> None:
        """Mark everything read that this device shows of a chat."""

    def sees_unread(self, count: int, chat: Chat, *, within: float = SEE_WITHIN) -> None:
        """The app shows `count` unread messages for a chat."""

    # Jobs

    def starts_job(self, kind: str) -> Job:
        """Start a background job."""

    def sees_job_progress(self, job: Job, *, at_least: int, below: int = 101, within: float = JOB_WITHIN) -> None:
        """The progress shown was in ``[at_least, below)`` percent at some time since the app was opened."""

    def sees_job(self, job: Job, state: str, *, within: float = JOB_WITHIN) -> None:
        """The job is shown in `state`: ``queued``, ``running``, ``done`` or ``failed``."""

    def job_progress(self, job: Job) -> list[int]:
        """Every progress the device was told of, in the order of arrival."""

    # The rest

    def changes_profile(self, **values: str) -> None:
        """Change the own profile: `first_name`, `last_name`, `bio`."""

    def goes_offline(self) -> None:
        """The connection breaks without a goodbye and stays away; the screen stays as it is."""

    def comes_online(self) -> None:
        """The connection is back and resumes where it was."""

    def catches_up(self, *, within: float = SETTLE_WITHIN) -> None:
        """Wait until everything that was committed before this call has come in."""

    def read(self, reader: Callable[[LiveStore], T]) -> T:
        """What `reader` makes of the client's store. Raises `NotPossible` before a screen is open."""

    def store(self) -> dict[str, Any]:
        """The content of the client's store, equal for all clients that hold the same."""

    def fresh_store(self) -> dict[str, Any]:
        """What `store` would be for a client that asks anew for as much as this one holds."""

    def screenshot(self, name: str, *, failed: bool = False) -> None:
        """Keep a picture of the window under `name`; `failed`: it shows how something failed.

        Who has no window has nothing to keep.
        """

    def checks_accessibility(self) -> None:
        """Judge the page by axe's rules. Raises `NotAccessible`; who has no window has nothing to judge."""

    def expects_trouble(self, reason: str, *, pattern: str = "") -> AbstractContextManager[None]:
        """Trouble in the page, of which `pattern` is found in the text, is no failure within the block.

        Anything else that goes wrong in a window without anybody asking fails the scenario at its end.
        """

    @property
    def unexpected_trouble(self) -> Sequence[str]:
        """What went wrong in the window without having been expected, oldest first."""

    # For the stage

    def looks(self) -> None:
        """Tell the ledger what the device holds, also what came in other ways than as an event."""

    def leaves_evidence(self, folder: Path, *, everything: bool) -> None:
        """Write what the device has before it into a folder; `everything`: the large and the dull as well."""

    def close(self) -> None:
        """Leave the stage."""
