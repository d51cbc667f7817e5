"""Pages that need nothing but themselves: no script, no other file, no network.

A page has a verdict, facts and sections; what stands in them is made by templates, by `table` and by the
charts of `harness.report.charts`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
_DOT = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="{colour}"/></svg>'


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a page, with its entry in the index."""

    anchor: str
    title: str
    body: Markup
    note: str = ""
    """A few words for the index, such as how long it took."""
    good: bool | None = None
    """Whether it passed; None where there is nothing to pass."""


def write_page(
    path: Path,
    *,
    title: str,
    eyebrow: str,
    good: bool,
    lead: str,
    facts: Sequence[tuple[str, str | Markup]],
    sections: Sequence[Section],
) -> None:
    """Write a page. `title` is its verdict, `eyebrow` says what it is about, `facts` are names and values.

    The file is there whole or not at all.
    """
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    dot = _DOT.format(colour="#16803c" if good else "#c5221f")
    html = render(
        "page.html",
        title=title,
        eyebrow=eyebrow,
        good=good,
        lead=lead,
        facts=facts,
        sections=sections,
        # What failed is what people look for.
        index=sorted(sections, key=lambda section: section.good is not False),
        style=Markup(style),  # noqa: S704 - a file of this package
        # The hash allows exactly this style sheet; nothing else may load or run.
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        icon=f"data:image/svg+xml,{quote(dot)}",
    )
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(html, encoding="utf-8")
    draft.replace(path)


def render(template: str, **context: Any) -> Markup:
    """A template of this package with all values escaped."""
    html = _environment().get_template(template).render(context)
    return Markup(html)  # noqa: S704 - the environment escapes every value


def table(headings: Sequence[str], rows: Sequence[Sequence[str | float]], *, caption: str) -> Markup:
    """A table; numbers stand at the right."""
    return render("table.html", headings=headings, rows=rows, caption=caption)


def seconds(value: float) -> str:
    """A duration for people: ``9 ms``, ``0.42 s``, ``12.3 s``, ``3 min 20 s``."""
    if value >= 60:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest} s"
    if 0 < value < 0.1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"


def date(iso: str) -> Markup:
    """A date and time for people, in the time zone of this machine."""
    at = datetime.fromisoformat(iso).astimezone()
    return Markup('<time datetime="{}">{} {:%B %Y, %H:%M %Z}</time>').format(iso, at.day, at)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["seconds"] = seconds
    return environment
