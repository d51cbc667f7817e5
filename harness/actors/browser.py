"""The `browser` actor: a person who uses the app in a real browser, by what they see on its pages."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from harness.actors import screens
from harness.actors.actor import SEE_WITHIN, Actor, Chat
from harness.actors.device import shown
from harness.actors.errors import NotAccessible, NotPossible, Refused, SeenAnyway
from harness.actors.evidence import file_name
from harness.actors.hands import CHATS, PROFILE
from harness.actors.http import HOST_PREFIX, SESSION_COOKIE
from harness.actors.jobless import NO_JOBS, Jobless
from harness.actors.pages import SIGN_IN, Page, address
from harness.actors.window import AtWindow
from harness.browser.axe import violations_text
from harness.browser.trouble import NETWORK
from harness.live import LiveStore


class BrowserActor(Jobless, AtWindow):
    """An `Actor` at a window of their own.

    They find things by role and name as people with and without a screen reader do, and see what the page shows. A
    message counts as delivered when its live frame came in and the page's store has taken it up; a page that is shown
    is proven by what they see.
    """

    # Signing in and out

    def signs_in(self) -> None:
        """Sign in through the sign-in page's form, or go on with the session the person came with."""
        self._signs_in(SIGN_IN)

    def _signs_in(self, path: str) -> None:
        """Sign in on the way to a page, which sends who is not signed in to the sign-in page and back."""
        with self._chronicle.does(self.label, "signs in"):
            self._open_window()
            if self.person.session is not None:
                prefix = HOST_PREFIX if self.base.startswith("https:") else ""
                self._do("can't have a cookie", self._tab.use_cookie(f"{prefix}{SESSION_COOKIE}", self.person.session))
            elif self.person.password is not None:
                self._do("can't open the sign-in page", self._hands.is_asked_who(path))
                self._do("can't sign in", self._hands.signs_in(self.person.name, self.person.password))
            cookies = self._do("can't tell their cookies", self._tab.cookies())
            for name, value in cookies.items():
                if name.endswith(SESSION_COOKIE):
                    self._http.use_session(value)
            self._user = self._signed_in_as()
            if self._user is None:
                raise self._session_has_ended()

    def signs_out(self) -> None:
        """Sign out with the button of the profile screen."""
        with self._chronicle.does(self.label, "signs out"):
            self._goes(PROFILE)
            self._has_opened = self._online = False
            self._do("can't sign out", self._hands.signs_out())
            self._user = None

    # Looking

    def opens(self, path: str) -> None:
        """Go to a screen and wait until it is live.

        The first time its page is loaded by its address, by way of the sign-in page if need be. Later they click on a
        link to it in the main navigation or the list of chats, as people do; where none is in view, its page is loaded
        by its address again.
        """
        with self._chronicle.does(self.label, f"opens {path}"):
            if path.startswith("/jobs"):
                raise NotPossible(NO_JOBS)
            if not screens.is_screen(path):
                raise screens.unknown(path)
            self._goes(path)

    def loads(self, path: str) -> Page:
        """Load a screen's page by its address and wait until it is live; what the server sent."""
        with self._chronicle.does(self.label, f"loads {path}"):
            if address(path) == SIGN_IN:
                self._open_window()
            else:
                _ = self.user
            self._do(f"can't load {path}", self._hands.goes(path, by_address=True))
            page = Page.of(self._do(f"can't read {path}", self._tab.document()))
            # A page that says that there is none shows nothing that could come alive.
            if page.status < 400 and page.store() is not None:
                self._has_opened = self._online = True
                self._see(self._is_live, f"does not come alive at {path}", self._patience)
            return page

    @property
    def data_requests(self) -> Sequence[str]:
        """Data that the page's scripts have asked for, over HTTP or the live connection."""
        return tuple(self._tab.asked)

    def sees(self, text: str, *, within: float = SEE_WITHIN) -> None:
        """`text` can be read on the page, in a field of it or in its navigation, now or `within` seconds."""

        async def look() -> bool:
            return _is_in(text, await self._tab.lines())

        with self._chronicle.sees(self.label, f"sees {text!r}"):
            self._see(look, f"does not see {text!r}", within)

    def does_not_see(self, text: str) -> None:
        """`text` can't be read on the page, after everything that has happened so far came in and was drawn."""
        with self._chronicle.sees(self.label, f"does not see {text!r}"):
            self.catches_up()
            self._do("can't see the page", self._tab.painted())
            if _is_in(text, self.lines()):
                raise SeenAnyway(f"sees {text!r}, which should not be there", self.view())

    def never_received(self, *texts: str) -> None:
        """None of `texts` was in a live frame, is in the app's store or in the page, hidden or not."""
        with self._chronicle.sees(self.label, f"never received {', '.join(map(repr, texts))}"):
            self.catches_up()
            if not self._diary.is_whole:
                raise NotPossible(f"{self.label} got so many frames that the first ones are not kept.")
            held = json.dumps(self.store(), ensure_ascii=False)
            page = self._do("can't read the page", self._tab.html())
            for text in texts:
                if any(text in received for received in (held, page, *self.frames)):
                    raise SeenAnyway(f"was sent {text!r}, which is not for them", self.view())

    # Chats

    def starts_chat(self, title: str, *, with_: Sequence[Actor]) -> Chat:
        """Start a chat with others through the dialog of the chat list."""
        with self._chronicle.does(self.label, f"starts the chat {title!r}"):
            members = [actor.user for actor in with_]
            self._goes(CHATS)
            self._do("can't start a chat", self._hands.starts_chat(title, [actor.person.name for actor in with_]))
            made: list[int] = []

            def has_come(store: LiveStore) -> bool:
                made[:] = [chat["id"] for chat in store.entities("chat") if chat["title"] == title]
                return bool(made)

            self._see_store(has_come, f"does not get the chat {title!r}", self._patience)
            return Chat(id=max(made), title=title, members=frozenset({self.user, *members}))

    def sends(self, text: str, *, to: Chat, keep_trying: float = 0.0) -> None:
        """Type a message into the chat, which is opened if it is not, and press Enter.

        `keep_trying`: seconds to press "Try again" while the app says that it failed; it is still made only once. What
        fails meanwhile is no trouble.
        """
        with self._chronicle.does(self.label, f"sends {text!r}"):
            if self._tab.path != address(to.screen):
                self._goes(to.screen)
            receivers = self._receivers(to)
            began = time.perf_counter()
            sent: list[str] = []

            def on_way(message: str) -> None:
                sent.append(message)
                self._expect(message, text, to, receivers, began=began)

            work = self._hands.sends(text, chat=to.id, keep_trying=keep_trying, on_way=on_way)
            try:
                self._do(f"can't send {text!r}", work, within=self._patience + keep_trying)
            except BaseException:
                for message in sent:
                    self._deliveries.withdraw(message)
                raise

    def marks_read(self, chat: Chat) -> None:
        """Open the chat, look at its newest message, and see that it counts as read."""
        with self._chronicle.does(self.label, f"marks {chat.title!r} read"):
            self._goes(chat.screen)
            self._do("can't scroll", self._hands.reads_to_the_end())
            self._see_store(
                lambda store: store.entity("chat", chat.id) is not None and screens.unread(store, chat.id) == 0,
                f"does not see {chat.title!r} become read",
                self._patience,
            )

    def sees_unread(self, count: int, chat: Chat, *, within: float = SEE_WITHIN) -> None:
        """The list of chats shows `count` unread messages for a chat; goes there if it is not in view."""

        async def look() -> bool:
            return await self._hands.unread(chat.id) == count

        with self._chronicle.sees(self.label, f"sees {count} unread in {chat.title!r}"):
            if self._do("can't see the chats", self._hands.unread(chat.id)) is None:
                self._goes(CHATS)
            self._see(look, f"does not see {count} unread in {chat.title!r}", within)

    # The rest

    def changes_profile(self, **values: str) -> None:
        """Fill in the form of the profile screen and save it: `first_name`, `last_name`, `bio`."""
        with self._chronicle.does(self.label, f"changes the own profile: {shown(values)}"):
            self._goes(PROFILE)
            self._do("can't save the profile", self._hands.changes_profile(values))

    def goes_offline(self) -> None:
        """Lose the network: every connection of the browser is reset, new ones fail, and it knows that it is offline.

        What fails in the page for that reason until it is connected again is no trouble.
        """
        with self._chronicle.does(self.label, "goes offline"):
            tab = self._opened
            self._online = False
            self._deliveries.interrupted(self)
            self._offline = self._offline or tab.troubles.expect("offline on purpose", NETWORK)
            self._do("can't be cut off", tab.cut())

    def comes_online(self) -> None:
        """The network is back; the app finds out by itself and resumes where it was."""
        with self._chronicle.does(self.label, "comes online"):
            tab = self._opened
            self._online = True
            self._do("can't be connected", tab.mend())

    def screenshot(self, name: str, *, failed: bool = False) -> None:
        """Keep a picture of the window as ``<name>-<actor>.jpg`` in the play's folder, unless the last one shows it."""
        if self._folder is None or not self._has_window:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        file = f"{file_name(name)}-{file_name(self.label)}.jpg"
        picture = self._do("can't be pictured", self._tab.picture())
        if picture == self._last_picture and not failed:
            return
        self._last_picture = picture
        (self._folder / file).write_bytes(picture)
        self._chronicle.tell(self.label, "screenshot", name, file=file, failed=failed)

    def checks_accessibility(self) -> None:
        """Judge the page as it is now by axe's rules. Raises `NotAccessible` with what breaks which rule."""
        with self._chronicle.sees(self.label, f"finds {self._tab.path} accessible"):
            self._open_window()
            violations = self._do("can't judge the page", self._tab.violations())
            if violations:
                raise NotAccessible(f"can't use {self._tab.path}:\n{violations_text(violations)}", self.view())

    def _goes(self, path: str) -> None:
        """Be at a screen that is live."""
        if self._has_opened and not self._online:
            raise NotPossible(f"{self.label} is offline.")
        if self._user is None:
            self._signs_in(path)
        first = not self._has_opened
        if first and self._tab.path == self._tab.loaded == address(path):
            # Signing in has led there already.
            status = 200
        else:
            status = self._do(f"can't open {path}", self._hands.goes(path, by_address=first))
        if self._tab.path == SIGN_IN:
            raise self._session_has_ended()
        if status >= 400:
            raise Refused(f"GET {address(path)}: HTTP {status}", status=status)
        self._has_opened = self._online = True
        if status:
            self._see(self._is_live, f"does not get what user {self.user} sees", self._patience)


def _is_in(text: str, lines: Sequence[str]) -> bool:
    return any(text in line for line in lines) or text in "\n".join(lines)
