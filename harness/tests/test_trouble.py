from __future__ import annotations

import pytest

from harness.browser.axe import violations_text
from harness.browser.trouble import NETWORK, Troubles, is_aborted, is_trouble


def test_what_nobody_expects_is_unexpected_in_its_order() -> None:
    troubles = Troubles()
    troubles.note("console", "error: one", at=1.0)
    troubles.note("response", "GET /x: HTTP 500", at=2.0)
    assert [str(one) for one in troubles.unexpected] == ["console: error: one", "response: GET /x: HTTP 500"]


def test_what_is_expected_is_kept_with_its_reason() -> None:
    troubles = Troubles()
    heard: list[str] = []
    with troubles.expected("a backend is killed", r"HTTP 50\d", before_end=lambda: heard.append("all")):
        troubles.note("response", "GET /x: HTTP 502", at=1.0)
        troubles.note("console", "error: another thing", at=2.0)
        assert heard == []
    troubles.note("response", "GET /x: HTTP 502", at=3.0)
    assert heard == ["all"]
    assert [one.excuse for one in troubles.all] == ["a backend is killed", None, None]
    assert [one.at for one in troubles.unexpected] == [2.0, 3.0]


def test_what_comes_while_the_block_ends_is_still_expected() -> None:
    troubles = Troubles()
    with troubles.expected("slow news", "", before_end=lambda: troubles.note("console", "error: late", at=1.0)):
        pass
    assert troubles.unexpected == ()


def test_what_was_told_otherwise_is_excused_afterwards() -> None:
    troubles = Troubles()
    for at, text in ((1.0, "POST /a: HTTP 400"), (2.0, "POST /a: HTTP 400"), (3.0, "POST /b: HTTP 400")):
        troubles.note("response", text, at=at)
    troubles.excuse("raised", since=2.0, pattern="/a:")
    assert [one.excuse for one in troubles.all] == [None, "raised", None]


@pytest.mark.parametrize(
    ("level", "text", "expected"),
    [
        ("error", "Uncaught thing", True),
        ("warning", "Hydration failed because the server rendered HTML", True),
        ("warning", "Prop `className` did not match", True),
        ("warning", "a deprecated feature", False),
        ("log", "Hydration went well", False),
        ("error", "Failed to load resource: the server responded with a status of 404", False),
    ],
)
def test_errors_and_warnings_about_hydration_are_trouble(level: str, text: str, expected: bool) -> None:
    assert is_trouble(level, text) is expected


def test_requests_of_a_page_that_is_left_are_no_trouble() -> None:
    assert is_aborted("net::ERR_ABORTED")
    assert not is_aborted("net::ERR_CONNECTION_REFUSED")
    assert not is_aborted(None)


@pytest.mark.parametrize(
    "text",
    [
        "request: GET /api/x: net::ERR_INTERNET_DISCONNECTED",
        "error: WebSocket connection to 'ws://127.0.0.1:1/live' failed: Error in connection establishment",
        "TypeError: Failed to fetch",
    ],
)
def test_a_cut_network_is_known_by_what_browsers_say(text: str) -> None:
    troubles = Troubles()
    token = troubles.expect("offline", NETWORK)
    troubles.note("console", text, at=1.0)
    troubles.expect_no_more(token)
    assert troubles.unexpected == ()


def test_what_axe_finds_is_told_by_rule_and_element() -> None:
    node = {"target": "input", "why": "Fix any of the following:\n  Element has no label\n  No title"}
    violations = [{"id": "label", "impact": "critical", "help": "Fields have labels", "nodes": [node] * 7}]
    assert violations_text(violations).splitlines() == [
        "- Fields have labels (label, critical), 7 times:",
        *["    input: Element has no label; No title"] * 5,
        "    and 2 more",
    ]
