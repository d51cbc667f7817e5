"""How a person uses the app's pages: what they look for by role and name, click and type.

All coroutines in here run on the driving thread. What is not there in time raises Playwright's `TimeoutError`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from playwright.async_api import Locator, Route

from harness.actors.errors import FormRefused, NotPossible, Refused, Unreachable
from harness.actors.pages import SIGN_IN, address
from harness.browser.scripts import SAYS
from harness.browser.tab import Tab

CHATS = "/chats/"
PROFILE = "/profile/"
API_PROFILE = "/api/profile"
API_CHATS = "/api/chats"
API_SESSION = "/api/session"
FIELDS = {"first_name": "First name", "last_name": "Last name", "bio": "About me"}


class Hands:
    """At one window."""

    def __init__(self, tab: Tab, *, patience: float) -> None:
        """`patience`: seconds until something that should be there is missed."""
        self._tab = tab
        self._patience = patience

    async def goes(self, path: str, *, by_address: bool) -> int:
        """Be at a screen; the HTTP status of its page, 0 where none was loaded.

        By a link in the main navigation or in the list of chats, if one leads there and is in view, else by its
        address.
        """
        target = address(path)
        if not by_address:
            if self._tab.path == target:
                return 0
            for link in self._links(target):
                if await link.is_visible():
                    await link.click()
                    if not await self._tab.holds(lambda: self._is_at(target), within=self._patience):
                        raise NotPossible(f"The link to {target} led to {self._tab.path}.")
                    return 0
        status = await self._tab.load(target)
        await self._tab.holds(self._has_store, within=self._patience)
        return status

    async def is_asked_who(self, path: str) -> None:
        """Be at the sign-in page, sent there by the page of a screen, which is then led to, or else by its address."""
        await self._tab.load(address(path))
        if self._tab.path != SIGN_IN:
            await self._tab.load(SIGN_IN)
        await self._tab.holds(self._has_store, within=self._patience)

    async def signs_in(self, name: str, password: str) -> None:
        """Fill in the form and send it. Raises `FormRefused` with what the page says."""
        began = time.perf_counter()
        page = self._tab.page
        await page.get_by_label("User name").fill(name)
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Sign in").click()
        alert = page.get_by_role("alert")

        async def is_over() -> bool:
            return self._tab.path != SIGN_IN or await _said(alert) != ""

        over = await self._tab.holds(is_over, within=self._patience)
        if over and self._tab.path != SIGN_IN:
            return
        told = await _said(alert)
        self._tab.troubles.excuse("the form says so", since=began, pattern=re.escape(f"POST {API_SESSION}"))
        raise FormRefused(f"The sign-in page did not let {name} in: {told or 'it shows no error message'}")

    async def signs_out(self) -> None:
        """Press the button of the profile screen."""
        await self._tab.page.get_by_role("button", name="Sign out").click()
        await self._tab.page.wait_for_url(f"**{SIGN_IN}**", wait_until="commit")

    async def starts_chat(self, title: str, names: Sequence[str]) -> None:
        """Fill in the dialog and send it."""
        page = self._tab.page
        await page.get_by_role("button", name="New chat").click()
        dialog = page.get_by_role("dialog", name="New chat")
        await dialog.get_by_role("textbox", name="Title").fill(title)
        for name in names:
            await dialog.get_by_role("searchbox", name="Find people").fill(name)
            await dialog.get_by_role("checkbox", name=name, exact=True).check()
        began = time.perf_counter()
        self._tab.answers.pop(("POST", API_CHATS), None)
        await dialog.get_by_role("button", name="Start chat").click()
        await self._answered("POST", API_CHATS, began=began, alerts=dialog)

    async def sends(self, text: str, *, chat: int, keep_trying: float, on_way: Callable[[str], None]) -> None:
        """Type a message and press Enter; try again for so many seconds while the app says that it failed.

        `on_way`: told the message's client id before it leaves the browser.
        """
        path = f"{API_CHATS}/{chat}/messages"
        ids: list[str] = []

        async def leaves(route: Route) -> None:
            body: Any = json.loads(route.request.post_data or "{}")
            if route.request.method == "POST" and body.get("text") == text and not ids:
                ids.append(body["client_id"])
                on_way(body["client_id"])
            # Whoever else has a say about what leaves the window has it after this.
            await route.fallback()

        page = self._tab.page
        began = time.perf_counter()
        self._tab.answers.pop(("POST", path), None)
        await page.route(f"**{path}", leaves)
        try:
            box = page.get_by_role("textbox", name="Message")
            await box.fill(text)
            await box.press("Enter")
            await self._arrives(path, ids, deadline=time.monotonic() + keep_trying)
        finally:
            await page.unroute(f"**{path}", leaves)
            if keep_trying:
                self._tab.troubles.excuse("sent again", since=began, pattern=re.escape(f"POST {path}:"))

    async def _arrives(self, path: str, ids: list[str], *, deadline: float) -> None:
        page = self._tab.page
        state = ""

        async def settled() -> bool:
            nonlocal state
            if not ids:
                return False
            message = page.locator(f'[data-client-id="{ids[0]}"]')
            state = await message.first.get_attribute("data-state", timeout=1000) or ""
            if state == "failed" and time.monotonic() < deadline:
                await message.first.get_by_role("button", name="Try again").click(timeout=1000)
            return state == "sent" or (state == "failed" and time.monotonic() >= deadline)

        await self._tab.holds(settled, within=self._patience + max(0.0, deadline - time.monotonic()))
        if state == "sent":
            return
        answer = self._tab.answers.get(("POST", path))
        if isinstance(answer, int) and answer >= 400:
            self._tab.troubles.excuse("raised", since=0.0, pattern=re.escape(f"POST {path}:"))
            raise Refused(f"POST {path}: HTTP {answer}", status=answer)
        if ids:
            raise Unreachable(f"POST {path}: no answer ({answer or state or 'not on the page'}).")
        raise NotPossible("The app sent no message when Enter was pressed.")

    async def reads_to_the_end(self) -> None:
        """Scroll the open chat to its newest message."""
        last = self._tab.page.get_by_role("log", name="Messages").locator("[data-message]").last
        if await last.count():
            await last.evaluate("(message) => message.scrollIntoView({ block: 'end' })")

    async def unread(self, chat: int) -> int | None:
        """How many unread messages the list of chats shows for a chat; None if it does not show the chat."""
        link = self._tab.page.get_by_role("list", name="Chats").locator(f'a[href="{CHATS}{chat}/"]')
        if not await link.count() or not await link.first.is_visible():
            return None
        said = str(await link.first.evaluate(SAYS))
        counted = re.search(r"(\d+)\s+unread", said)
        return int(counted.group(1)) if counted else 0

    async def changes_profile(self, values: Mapping[str, str]) -> None:
        """Fill in the form and save it."""
        unknown = set(values) - set(FIELDS)
        if unknown:
            raise NotPossible(f"The profile has no field {unknown.pop()!r}; it has: {', '.join(FIELDS)}.")
        page = self._tab.page
        for name, value in values.items():
            await page.get_by_role("textbox", name=FIELDS[name]).fill(value)
        began = time.perf_counter()
        self._tab.answers.pop(("PATCH", API_PROFILE), None)
        await page.get_by_role("button", name="Save").click()
        await self._answered("PATCH", API_PROFILE, began=began, alerts=page.locator("main"))
        await page.get_by_role("status").filter(has_text="Saved").first.wait_for()

    async def _answered(self, method: str, path: str, *, began: float, alerts: Locator) -> None:
        """Wait for the answer to a request. Raises `Refused` with what the page says, or `Unreachable`."""

        async def has_come() -> bool:
            return (method, path) in self._tab.answers

        await self._tab.holds(has_come, within=self._patience)
        answer = self._tab.answers.get((method, path))
        if isinstance(answer, int) and answer < 400:
            return
        self._tab.troubles.excuse("raised", since=began, pattern=re.escape(f"{method} {path}:"))
        if isinstance(answer, int):
            told = await _said(alerts.get_by_role("alert"))
            raise Refused(f"{method} {path}: HTTP {answer}{f', {told}' if told else ''}", status=answer)
        raise Unreachable(f"{method} {path}: no answer ({answer or 'nothing was sent'}).")

    def _links(self, target: str) -> list[Locator]:
        page = self._tab.page
        places = page.get_by_role("navigation", name="Main"), page.get_by_role("list", name="Chats")
        return [place.locator(f'a[href="{target}"]').first for place in places]

    async def _is_at(self, target: str) -> bool:
        return self._tab.path == target

    async def _has_store(self) -> bool:
        return await self._tab.state() is not None


async def _said(alerts: Locator) -> str:
    texts = await alerts.all_inner_texts()
    return " ".join(" ".join(text.split()) for text in texts).strip()
