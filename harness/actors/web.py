"""The `web` actor: a person with the app open, as HTTP requests and a live connection."""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from harness.actors import screens
from harness.actors.actor import JOB_WITHIN, SEE_WITHIN, SETTLE_WITHIN, Actor, Chat, Job
from harness.actors.device import Device, Part, shown
from harness.actors.errors import NotPossible, NotSeen, Refused, SeenAnyway, Unreachable, View
from harness.actors.evidence import write_frames, write_view
from harness.actors.pages import SIGN_IN, Page, address
from harness.live import LiveStore, SyncLive
from harness.live.store import JSON

T = TypeVar("T")

RETRY_EVERY = 0.25
FRAMES_KEPT = 5000
FRAMES_SHOWN = 5


class WebActor(Device):
    """An `Actor` without a window: what they see is worked out from the data that a page would show."""

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        self._live: SyncLive | None = None
        self._online = False
        self._screen: str | None = None
        self._frames: deque[tuple[float, JSON]] = deque(maxlen=FRAMES_KEPT)
        self._frame_count = 0
        self._progress: dict[int, list[int]] = defaultdict(list)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label} at {self._screen or 'no screen'}>"

    @property
    def online(self) -> bool:
        """Whether the app is open and meant to be connected."""
        return self._online

    @property
    def connection(self) -> str:
        """The state of the live connection, in words."""
        if self._live is None:
            return "not open"
        state = self._live.state.value if self._online else "offline on purpose"
        return f"{state} ({self._live.error})" if self._live.error else state

    @property
    def frames(self) -> tuple[str, ...]:
        """The newest live frames that came in, oldest first, as JSON."""
        return tuple(json.dumps(frame, ensure_ascii=False) for _, frame in tuple(self._frames))

    def read(self, reader: Callable[[LiveStore], T]) -> T:
        """What `reader` makes of the client's store, while nothing comes in between.

        Raises `NotPossible` before a screen is open.
        """
        return self._opened.read(reader)

    def store(self) -> JSON:
        """The content of the client's store. Raises `NotPossible` before a screen is open."""
        return self.read(lambda store: store.canonical())

    # Signing in and out

    def signs_in(self) -> None:
        """Sign in, or go on with the session the person came with."""
        with self._chronicle.does(self.label, "signs in"):
            if self.person.session is not None:
                self._http.use_session(self.person.session)
            user = self._signed_in_as()
            if user is None and self.person.password is not None:
                fields = {"username": self.person.name, "password": self.person.password}
                user = int(self._http.json("POST", "/api/session", fields)["user"]["id"])
            if user is None:
                raise self._session_has_ended()
            self._user = user

    def signs_out(self) -> None:
        """Sign out and close the app."""
        with self._chronicle.does(self.label, "signs out"):
            self._http.json("DELETE", "/api/session")
            self._close_live()
            self._user = None
            self._screen = None

    # Looking

    def opens(self, path: str) -> None:
        """Go to a screen; the first one opens the live connection and waits for its snapshot."""
        with self._chronicle.does(self.label, f"opens {path}"):
            if not self._online and self._live is not None:
                raise NotPossible(f"{self.label} is offline.")
            if self._live is None:
                self._connect()
            self.read(lambda store: screens.render(store, path))
            self._screen = path

    def loads(self, path: str) -> Page:
        """Get a screen's page and go on with the data in it; the live connection resumes from there."""
        with self._chronicle.does(self.label, f"loads {path}"):
            if address(path) != SIGN_IN:
                _ = self.user
            page = Page.of(self._http.page(address(path)))
            store = page.store()
            if store is not None:
                self._close_live()
                self._connect(store)
                self._screen = path.rstrip("/") if screens.is_screen(path.rstrip("/")) else None
            return page

    @property
    def data_requests(self) -> Sequence[str]:
        """Snapshots that the live connection had to bring."""
        return ("a snapshot over the live connection",) * (0 if self._live is None else self._live.snapshots)

    def sees(self, text: str, *, within: float = SEE_WITHIN) -> None:
        """`text` is in a line of the screen, now or `within` seconds."""
        with self._chronicle.sees(self.label, f"sees {text!r}"):
            self._see(lambda store: any(text in line for line in self._lines(store)), f"does not see {text!r}", within)

    def does_not_see(self, text: str) -> None:
        """`text` is in no line of the screen, after everything that has happened so far came in."""
        with self._chronicle.sees(self.label, f"does not see {text!r}"):
            self.catches_up()
            if any(text in line for line in self.lines()):
                raise SeenAnyway(f"sees {text!r}, which should not be there", self.view())

    def never_received(self, *texts: str) -> None:
        """None of `texts` was in anything that ever came over the live connection, whatever the screen."""
        with self._chronicle.sees(self.label, f"never received {', '.join(map(repr, texts))}"):
            self.catches_up()
            if self._frame_count > FRAMES_KEPT:
                raise NotPossible(f"{self.label} got more than {FRAMES_KEPT} frames: the first ones are not kept.")
            held = self.read(lambda store: json.dumps(store.canonical(), ensure_ascii=False))
            for text in texts:
                if any(text in received for received in (held, *self.frames)):
                    raise SeenAnyway(f"was sent {text!r}, which is not for them", self.view())

    def lines(self) -> list[str]:
        """The lines of the screen as it is now."""
        return self.read(self._lines)

    def view(self) -> View:
        """What the actor has before them, for a report."""
        return View(
            actor=self.label,
            screen=self._screen or "(none)",
            lines=[] if self._live is None or self._screen is None else self.lines(),
            frames=self.frames[-FRAMES_SHOWN:],
            connection=self.connection,
        )

    # Chats

    def starts_chat(self, title: str, *, with_: Sequence[Actor]) -> Chat:
        """Start a chat with others and be its owner."""
        with self._chronicle.does(self.label, f"starts the chat {title!r}"):
            founder, members = self.user, [actor.user for actor in with_]
            made = self._http.json("POST", "/api/chats", {"title": title, "members": members})
            return Chat(id=int(made["id"]), title=title, members=frozenset({founder, *members}))

    def sends(self, text: str, *, to: Chat, keep_trying: float = 0.0) -> None:
        """Send a message; the stage expects it on every device of every member that has the app open.

        `keep_trying`: seconds to send it again while no server answers; it is still made only once.
        """
        message = str(uuid.uuid4())
        with self._chronicle.does(self.label, f"sends {text!r}"):
            self._expect(message, text, to, self._receivers(to), began=time.perf_counter())
            try:
                self._post_message(to, {"client_id": message, "text": text}, keep_trying)
            except BaseException:
                self._deliveries.withdraw(message)
                raise

    def marks_read(self, chat: Chat) -> None:
        """Mark everything read that this device shows of a chat."""
        with self._chronicle.does(self.label, f"marks {chat.title!r} read"):
            held = self.read(lambda store: store.entity("chat", chat.id))
            if held is None:
                raise NotPossible(f"{self.label} does not have the chat {chat.title!r}.")
            self._http.json("PUT", f"/api/chats/{chat.id}/read", {"number": held["last_number"]})

    def sees_unread(self, count: int, chat: Chat, *, within: float = SEE_WITHIN) -> None:
        """The app shows `count` unread messages for a chat."""
        with self._chronicle.sees(self.label, f"sees {count} unread in {chat.title!r}"):
            self._see(
                lambda store: store.entity("chat", chat.id) is not None and screens.unread(store, chat.id) == count,
                f"does not see {count} unread in {chat.title!r}",
                within,
            )

    # Jobs

    def starts_job(self, kind: str) -> Job:
        """Start a background job."""
        with self._chronicle.does(self.label, f"starts a job, {kind}"):
            _ = self.user
            made = self._http.json("POST", "/api/jobs", {"kind": kind})
            return Job(id=int(made["id"]), kind=kind)

    def sees_job_progress(self, job: Job, *, at_least: int, below: int = 101, within: float = JOB_WITHIN) -> None:
        """The progress shown was in ``[at_least, below)`` percent at some time since the app was opened."""
        with self._chronicle.sees(self.label, f"sees job {job.id} at {at_least} % or more and below {below} %"):
            self._see(
                lambda _: any(at_least <= progress < below for progress in self._progress[job.id]),
                f"does not see job {job.id} at {at_least} % or more and below {below} %",
                within,
            )

    def sees_job(self, job: Job, state: str, *, within: float = JOB_WITHIN) -> None:
        """The job is shown in `state`: ``queued``, ``running``, ``done`` or ``failed``."""
        with self._chronicle.sees(self.label, f"sees job {job.id} {state}"):
            self._see(
                lambda store: (store.entity("job", job.id) or {}).get("state") == state,
                f"does not see job {job.id} {state}",
                within,
            )

    def job_progress(self, job: Job) -> list[int]:
        """Every progress the device was told of, in the order of arrival."""
        return self.read(lambda _: list(self._progress[job.id]))

    # The rest

    def changes_profile(self, **values: str) -> None:
        """Change the own profile: `first_name`, `last_name`, `bio`."""
        with self._chronicle.does(self.label, f"changes the own profile: {shown(values)}"):
            _ = self.user
            self._patch_profile(values)

    def goes_offline(self) -> None:
        """The connection breaks without a goodbye and stays away; the screen stays as it is."""
        with self._chronicle.does(self.label, "goes offline"):
            live = self._opened
            self._online = False
            self._deliveries.interrupted(self)
            live.cut()

    def comes_online(self) -> None:
        """The connection is back and resumes where it was."""
        with self._chronicle.does(self.label, "comes online"):
            self._online = True
            self._opened.start()

    def screenshot(self, name: str, *, failed: bool = False) -> None:
        """Nothing: there is no window."""

    def checks_accessibility(self) -> None:
        """Nothing: there is no window."""

    @contextmanager
    def expects_trouble(self, reason: str, *, pattern: str = "") -> Generator[None]:
        """Nothing goes wrong in a window that is not there."""
        yield

    @property
    def unexpected_trouble(self) -> Sequence[str]:
        """None: there is no window."""
        return ()

    @property
    def has_opened(self) -> bool:
        """Whether the app was opened on this device, online or not."""
        return self._live is not None

    def leaves_evidence(self, folder: Path, *, everything: bool) -> None:
        """Write the screen and the live frames."""
        write_view(folder, self.view())
        frames = ((self._chronicle.seconds(at), False, frame) for at, frame in tuple(self._frames))
        write_frames(folder, self.label, frames)

    def close(self) -> None:
        """Leave the stage."""
        self._close_live()
        self._http.close()

    @property
    def _opened(self) -> SyncLive:
        if self._live is None:
            raise NotPossible(f"{self.label} has not opened the app: open a screen first.")
        return self._live

    def _connect(self, store: LiveStore | None = None) -> None:
        user = self.user
        live = SyncLive(
            f"ws{self.base.removeprefix('http')}/live",
            origin=self.base,
            headers=lambda: {"Cookie": "; ".join(f"{name}={key}" for name, key in self._http.session.items())},
            on_frame=self._on_frame,
            store=store,
        )
        self._live = live
        self._online = True
        live.start()
        within = SETTLE_WITHIN * self._stretch
        if not live.wait_live(within=within):
            raise NotSeen(f"does not get what user {user} sees within {within:g} s", self.view())

    def _close_live(self) -> None:
        self._online = False
        if self._live is not None:
            self._live.close()
            self._live = None

    def _on_frame(self, frame: JSON) -> None:
        at = time.perf_counter()
        self._frames.append((at, frame))
        self._frame_count += 1
        live = self._live
        if live is not None:
            self._look(live.store, at, by_event=True)
        self._chronicle.frame(self.label, frame, at=at)

    def looks(self) -> None:
        """Take notice of what is in the store, however it came in."""
        self.read(lambda store: self._look(store, time.perf_counter(), by_event=False))

    def _look(self, store: LiveStore, at: float, *, by_event: bool) -> None:
        if self._deliveries.awaits(self):
            held = {message["client_id"] for message in store.entities("message")}
            self._deliveries.arrived(self, held, at=at, by_event=by_event)
        for job in store.entities("job"):
            history = self._progress[job["id"]]
            if not history or history[-1] != job["progress"]:
                history.append(job["progress"])

    def _lines(self, store: LiveStore) -> list[str]:
        if self._screen is None:
            raise NotPossible(f"{self.label} has no screen open.")
        return screens.render(store, self._screen)

    def _see(self, condition: Callable[[LiveStore], bool], claim: str, within: float) -> None:
        within *= self._stretch
        if not self._opened.wait(condition, within=within):
            raise NotSeen(f"{claim} within {within:g} s", self.view())

    def _gets_own_bio(self, bio: str, within: float) -> None:
        user = self.user
        self._see(
            lambda store: (store.entity("profile", user) or {}).get("bio") == bio,
            "does not get a marker of their own",
            within,
        )

    def _post_message(self, chat: Chat, body: dict[str, Any], keep_trying: float) -> None:
        deadline = time.monotonic() + keep_trying
        while True:
            try:
                self._http.json("POST", f"/api/chats/{chat.id}/messages", body)
            except (Unreachable, Refused) as error:
                passing = isinstance(error, Unreachable) or error.status >= 500
                if not passing or time.monotonic() >= deadline:
                    raise
                time.sleep(RETRY_EVERY)
            else:
                return
