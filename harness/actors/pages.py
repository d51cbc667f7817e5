"""A page as it came from the server: what stands in its markup before any script has run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx
import lxml.html

from harness.live import LiveStore

SIGN_IN = "/sign-in/"
RENDERED_BY = "x-rendered-by"
SHELL_REASON = "x-shell-reason"


def address(path: str) -> str:
    """The path of a screen as the app's own links write it, with a slash at its end."""
    return f"{path.rstrip('/')}/"


@dataclass(frozen=True, kw_only=True)
class Page:
    """One answer to a request for a page.

    `by` is ``renderer`` or ``shell``; `shell_reason` says why the renderer was not asked or not heard. `text` is what
    the markup shows, in the order of the document, without scripts and attributes; `data` is the page data that came
    along, None if there was none.
    """

    path: str
    status: int
    by: str
    shell_reason: str | None
    headers: httpx.Headers
    text: str
    data: dict[str, Any] | None
    inline: tuple[str, ...]
    """Inline scripts, style elements and style attributes: what the content security policy would stop."""

    @classmethod
    def of(cls, response: httpx.Response) -> Page:
        """Read an answer; `data` is None where a page has no block that holds it."""
        document: Any = lxml.html.document_fromstring(response.content or b"<html></html>")
        blocks = {script.get("id"): script.text_content() for script in document.iter("script") if script.get("id")}
        inline = [f"<script>{script.text}" for script in document.iter("script") if _runs(script)]
        inline += [f"<style>{style.text}" for style in document.iter("style")]
        inline += [f"<{element.tag} style={element.get('style')!r}>" for element in document.xpath("//*[@style]")]
        for element in document.xpath("//script | //style | //template | //noscript"):
            element.drop_tree()
        return cls(
            path=response.url.path,
            status=response.status_code,
            by=response.headers.get(RENDERED_BY, ""),
            shell_reason=response.headers.get(SHELL_REASON),
            headers=response.headers,
            text=" ".join(document.text_content().split()),
            data=_data(blocks),
            inline=tuple(inline),
        )

    def store(self) -> LiveStore | None:
        """A client's store with what came along, None for who is not signed in."""
        snapshot = (self.data or {}).get("snapshot")
        if self.data is None or snapshot is None:
            return None
        store = LiveStore(orders=snapshot["orders"])
        store.apply_snapshot({"user": self.data["user"], **snapshot})
        return store


def _runs(script: Any) -> bool:
    return script.get("src") is None and script.get("type", "text/javascript") != "application/json"


def _data(blocks: dict[str, str]) -> dict[str, Any] | None:
    if "page-data" in blocks:
        data = json.loads(blocks["page-data"])
    elif "__NEXT_DATA__" in blocks:
        data = json.loads(blocks["__NEXT_DATA__"])["props"]["pageProps"].get("data")
    else:
        return None
    return data if isinstance(data, dict) else None
