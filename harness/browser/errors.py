"""What can go wrong between the harness and a browser; actors turn it into what their person notices."""

from __future__ import annotations


class BrowserError(Exception):
    """Root of these."""


class TooSlow(BrowserError):
    """Something in a page did not happen, or was not there, in the time given."""


class BrowserEnded(BrowserError):
    """The browser, or the page, is gone."""


class NoAnswer(BrowserError):
    """A page could not be loaded, because no server answered."""
