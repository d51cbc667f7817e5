from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from stack.pages.shell import Shells, block
from stack.pages.tests.wire import write_build


def data_in(page: bytes) -> Any:
    """What a browser's script would read from the page."""
    document: Any = html.fromstring(page.decode())
    (found,) = document.xpath("//script[@id='page-data']")
    assert found.get("type") == "application/json"
    return json.loads(found.text)


HOSTILE = [
    "</script><script>alert(1)</script>",
    "</SCRIPT >",
    "<!--<script>",
    "-->",
    "]]>",
    "&lt;/script&gt;",
    "\u2028\u2029",
    "\u202egpj.exe",
    "\u0000\u0008",
    "\\u003c/script\\u003e",
    '"}</script>',
    "__proto__",
    "𝒳🙂",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_data_stays_data(tmp_path: Path, text: str) -> None:
    data = {"text": text, text: 1}
    page = Shells(write_build(tmp_path) / "web").page("/chats", json.dumps(data, ensure_ascii=False).encode())
    assert page is not None
    assert data_in(page) == data
    # As many scripts as the exported page has, and ours.
    assert page.lower().count(b"<script") == page.lower().count(b"</script") == 3


@given(st.text())
def test_nothing_in_any_text_is_markup(text: str) -> None:
    written = block(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    inner = written.removeprefix(b'<script type="application/json" id="page-data">').removesuffix(b"</script>")
    assert not {b"<", b">", b"&", "\u2028".encode(), "\u2029".encode()} & {
        inner[i : i + n] for n in (1, 3) for i in range(len(inner))
    }
    assert json.loads(inner.decode("utf-8", "surrogatepass")) == text


def test_the_data_stands_before_the_first_script(tmp_path: Path) -> None:
    page = Shells(write_build(tmp_path) / "web").page("/chats/[id]", b"{}")
    assert page is not None
    assert page.index(b"page-data") < page.index(b"web-1a.js")
    assert b"shell of /chats/[id]" in page


def test_a_page_without_scripts_and_one_without_anything(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<HTML><HEAD></HEAD><body>a</body>")
    (tmp_path / "b.html").write_text("b")
    shells = Shells(tmp_path)
    assert shells.page("/a", b"1") == b"<HTML><HEAD>" + block(b"1") + b"</HEAD><body>a</body>"
    assert shells.page("/b", b"1") == b"b" + block(b"1")


def test_each_shell_is_read_once_and_a_missing_one_is_looked_for_again(tmp_path: Path) -> None:
    shells = Shells(tmp_path)
    assert shells.page("/a", None) is None
    (tmp_path / "a.html").write_text("first")
    assert shells.page("/a", None) == b"first"
    (tmp_path / "a.html").write_text("second")
    assert shells.page("/a", None) == b"first"


def test_without_a_build() -> None:
    assert Shells(None).page("/chats", b"{}") is None
