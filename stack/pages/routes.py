"""The pages that there are: every route of the front end has a row here, and what Django has to know of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from django.utils.http import url_has_allowed_host_and_scheme

HOME = "/"
SIGN_IN = "/sign-in"
CHATS = "/chats"

_PARAMETER = re.compile(r"\[([a-z_]+)\]")
# A whole number as JavaScript and Postgres write it, so that one page has one address.
_NUMBER = "[1-9][0-9]{0,18}"


@dataclass(frozen=True)
class Page:
    """A row.

    Attributes:
        route: as Next names it, such as ``/chats/[id]``; parameters are whole numbers.
        private: only for who is signed in; others are sent to the sign-in page.
        redirects: never rendered while the database answers: it only sends on.
        shows: names of scopes with the route's parameters, such as ``chat:{id}``. Who does not see all of them
            gets the 404 page; page data holds the newest few of their long types, of other scopes only the newest.
    """

    route: str
    private: bool = True
    redirects: bool = False
    shows: tuple[str, ...] = ()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What addresses of this page look like; they all end in a slash."""
        parts = _PARAMETER.split(self.address)
        return re.compile(
            "".join(re.escape(part) if i % 2 == 0 else f"(?P<{part}>{_NUMBER})" for i, part in enumerate(parts))
        )

    @property
    def address(self) -> str:
        """The route with the slash at its end that all addresses have."""
        return f"{self.route.rstrip('/')}/"

    def path(self, values: Mapping[str, str]) -> str:
        """The address for these parameters."""
        return _PARAMETER.sub(lambda found: values[found[1]], self.address)

    def scopes(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The scopes that the page shows for these parameters."""
        return tuple(scope.format(**values) for scope in self.shows)


PAGES = (
    Page(HOME, private=False, redirects=True),
    Page(SIGN_IN, private=False),
    Page(CHATS),
    Page("/chats/[id]", shows=("chat:{id}",)),
    Page("/profile"),
    Page("/people"),
)
NOT_FOUND = Page("/404", private=False)
"""Rendered for every address without a page, with status 404."""

_NEXTS_OWN = frozenset({"/_app", "/_document", "/_error", "/404", "/500"})


def find(path: str) -> tuple[Page, dict[str, str]] | None:
    """The page at an address and its parameters."""
    for page in PAGES:
        if found := page.pattern.fullmatch(path):
            return page, found.groupdict()
    return None


def routes_in(manifest: Mapping[str, Any]) -> frozenset[str]:
    """The routes that Next lists in ``pages-manifest.json`` or ``routes-manifest.json``, without its own."""
    names: Iterable[str] = manifest
    if "staticRoutes" in manifest:
        names = [row["page"] for row in (*manifest["staticRoutes"], *manifest.get("dynamicRoutes", ()))]
    return frozenset(names) - _NEXTS_OWN


def missing_rows(manifest: Mapping[str, Any]) -> set[str]:
    """Routes of a build that have no row here: nobody could open them."""
    return set(routes_in(manifest)) - {page.route for page in PAGES}


def sign_in_address(path: str) -> str:
    """Where to sign in, to come back to ``path`` afterwards."""
    return f"{SIGN_IN}/?next={quote(path)}"


def safe_next(text: str | None) -> str:
    """Where to go after signing in: ``text`` if it is a path of this site, else the chats."""
    if (
        text
        and text.startswith("/")
        and not text.startswith("//")
        # Browsers take a backslash for a slash, and drop tabs and line ends before they look.
        and text.isprintable()
        and "\\" not in text
        and url_has_allowed_host_and_scheme(text, allowed_hosts=None)
        # Back to signing in would be a circle.
        and not text.startswith(SIGN_IN)
    ):
        return text
    return f"{CHATS}/"
