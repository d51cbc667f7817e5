from __future__ import annotations

from typing import Any

import pytest

from harness.actors import screens
from harness.actors.screens import UnknownScreen, render
from harness.live import LiveStore

ME, BOB = 7, 8
CHAT = 42


def window(**entities: list[dict[str, Any]]) -> dict[str, Any]:
    return {"entities": entities, "bounds": {}}


def profile(user: int, first: str = "", last: str = "") -> dict[str, Any]:
    return {"id": user, "user": user, "first_name": first, "last_name": last, "bio": ""}


def message(number: int, sender: int, text: str, *, chat: int = CHAT) -> dict[str, Any]:
    return {"id": 100 - number, "chat": chat, "sender": sender, "number": number, "text": text}


def job(id: int, state: str, progress: int, error: str = "") -> dict[str, Any]:
    return {"id": id, "kind": "data_report", "state": state, "progress": progress, "error": error}


def store(*, title: str = "Lunch", mark: int | None = None, jobs: list[dict[str, Any]] | None = None) -> LiveStore:
    account = {"id": ME, "username": "alice", "email": "alice@example.org", "is_staff": False}
    marks = [] if mark is None else [{"id": 1, "user": ME, "chat": CHAT, "number": mark}]
    held = LiveStore()
    held.apply_snapshot(
        {
            "user": ME,
            "epoch": "e",
            "seq": 1,
            "scopes": {
                f"user:{ME}": window(account=[account], read_mark=marks, job=jobs or []),
                f"profile:{ME}": window(profile=[profile(ME, "Alice", "Adams")]),
                f"profile:{BOB}": window(profile=[profile(BOB, "Bob")]),
                f"chat:{CHAT}": window(
                    chat=[{"id": CHAT, "title": title, "last_number": 2}],
                    member=[{"id": 1, "chat": CHAT, "user": ME}, {"id": 2, "chat": CHAT, "user": BOB}],
                    message=[message(2, BOB, "Make it one."), message(1, ME, "Pizza at noon?")],
                ),
            },
        }
    )
    return held


def test_a_chat_shows_who_said_what_in_the_order_of_the_numbers() -> None:
    assert render(store(), "/chats/42") == [
        "Lunch",
        "with Alice Adams, Bob",
        "Alice Adams: Pizza at noon?",
        "Bob: Make it one.",
        "2 unread",
    ]


def test_the_list_of_chats_shows_the_newest_message_and_the_unread_count() -> None:
    assert render(store(mark=1), "/chats") == ["Lunch (1 unread)", "  Bob: Make it one."]


def test_what_is_read_is_not_counted() -> None:
    assert render(store(mark=2), "/chats")[0] == "Lunch"
    assert screens.unread(store(mark=2), CHAT) == 0


def test_a_chat_without_a_title_is_named_after_the_others() -> None:
    assert render(store(title="", mark=2), "/chats")[0] == "Bob"


def test_a_chat_that_is_not_held_shows_nothing_of_itself() -> None:
    assert render(store(), "/chats/43") == ["This chat does not exist or is not yours"]


def test_the_profile_is_the_own_one() -> None:
    lines = render(store(), "/profile")
    assert "Username: alice" in lines
    assert "First name: Alice" in lines
    assert not any("Bob" in line for line in lines)


def test_people_are_those_whose_profile_is_visible() -> None:
    assert render(store(), "/people") == ["Alice Adams", "Bob"]


def test_somebody_without_a_profile_has_a_number() -> None:
    assert screens.name_of(store(), 99) == "user 99"


def test_jobs_show_their_progress_newest_first() -> None:
    held = store(jobs=[job(1, "failed", 20, error="It broke."), job(2, "running", 40)])
    assert render(held, "/jobs") == [
        "Job 2, data_report: running, 40 %",
        "Job 1, data_report: failed, 20 %, It broke.",
    ]


def test_an_empty_store_has_empty_screens() -> None:
    assert render(LiveStore(), "/chats") == ["No chats yet"]
    assert render(LiveStore(), "/jobs") == ["No jobs yet"]
    assert render(LiveStore(), "/profile") == []


@pytest.mark.parametrize("path", ["/", "/chats/", "/chats/new", "/settings", "chats"])
def test_an_unknown_screen_is_named_with_those_there_are(path: str) -> None:
    with pytest.raises(UnknownScreen, match="/chats/<id>"):
        render(store(), path)
