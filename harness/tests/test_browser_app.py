"""Actors at a real browser, on the real app: what it shows, through its own screens and forms."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.actors.actor import Actor, Chat
from harness.actors.browser import BrowserActor
from harness.actors.errors import FormRefused, NotPossible, NotSeen, Refused, SeenAnyway, Unreachable
from harness.browser.driver import Browsers
from harness.browser.window import PHONE, Window
from harness.faults.catalogue import fault
from harness.play.deliveries import CATCH_UP, LIVE
from harness.play.eyes import Eyes
from harness.play.people import Person, Pool, people_of
from harness.play.stage import Stage, Target
from harness.stack import RunningStack
from harness.tests.observing import Seen


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def stage(stack: RunningStack, browsers: Browsers, seen: Seen) -> Iterator[Stage]:
    """Bob has a window; nothing may go wrong in it that a test does not expect."""
    eyes = Eyes(browsers=browsers, roles=["bob"])
    # Slow machines draw slowly, and what is tested here is not speed.
    with Stage(Target.of(stack), people_of(stack), observers=[seen], eyes=eyes, stretch=3) as stage:
        yield stage
        stage.settle()
        stage.judge()


def lunch(stage: Stage) -> Chat:
    """Alice has no window and starts a chat with Bob, who is on the list of chats."""
    alice, bob = stage.actor("alice"), stage.actor("bob")
    alice.opens("/chats")
    bob.opens("/chats")
    chat = alice.starts_chat(stage.unique("Lunch"), with_=[bob])
    bob.sees(chat.title, within=10)
    return chat


def test_bob_starts_a_chat_and_both_write(stage: Stage, seen: Seen) -> None:
    alice, bob = stage.actor("alice"), stage.actor("bob")
    alice.opens("/chats")
    bob.opens("/chats")
    chat = bob.starts_chat(stage.unique("Tea"), with_=[alice])
    assert chat.members == {alice.user, bob.user}
    alice.sees(chat.title, within=10)
    alice.opens(chat.screen)
    question, answer = stage.unique("Now?"), stage.unique("Yes")
    bob.sends(question, to=chat)
    alice.sees(question, within=10)
    alice.sends(answer, to=chat)
    bob.sees(answer, within=10)
    stage.settle()
    assert [name for name, _, error in seen.deliveries if error is None] == [LIVE] * 4


def test_two_lines_are_one_message(stage: Stage) -> None:
    chat, bob = lunch(stage), stage.actor("bob")
    first, second = stage.unique("one"), stage.unique("two")
    bob.sends(f"{first}\n{second}", to=chat)
    bob.sees(first)
    bob.sees(second)
    texts = bob.read(lambda store: [message["text"] for message in store.in_scope(f"chat:{chat.id}", "message")])
    assert texts == [f"{first}\n{second}"]


def test_the_store_of_the_app_equals_that_of_a_client_without_a_window(stage: Stage) -> None:
    """After the page's own data, a resume, and events."""
    chat, alice, bob = lunch(stage), stage.actor("alice"), stage.actor("bob")
    alice.sends(stage.unique("Hello"), to=chat)
    bob.opens(chat.screen)
    bob.changes_profile(bio=stage.unique("I live on a hill"))
    for actor in (alice, bob):
        actor.catches_up()
    scope = f"chat:{chat.id}"
    assert bob.store()[scope] == alice.store()[scope]
    profile = f"profile:{bob.user}"
    assert bob.store()[profile] == alice.store()[profile]


def test_unread_messages_are_counted_until_they_are_read(stage: Stage) -> None:
    chat, alice, bob = lunch(stage), stage.actor("alice"), stage.actor("bob")
    phone = stage.actor("bob", device="phone", window=PHONE)
    phone.opens("/people")
    for text in ("one", "two"):
        alice.sends(stage.unique(text), to=chat)
    bob.sees_unread(2, chat)
    phone.marks_read(chat)
    bob.sees_unread(0, chat)
    with pytest.raises(NotSeen, match="does not see 1 unread"):
        bob.sees_unread(1, chat, within=0.1)


def test_who_was_offline_catches_up(stage: Stage, seen: Seen) -> None:
    chat, alice, bob = lunch(stage), stage.actor("alice"), stage.actor("bob")
    bob.opens(chat.screen)
    bob.goes_offline()
    text = stage.unique("Hello")
    alice.sends(text, to=chat)
    with pytest.raises(NotSeen, match="live connection offline on purpose"):
        bob.sees(text, within=0.3)
    with pytest.raises(NotPossible, match="bob is offline"):
        bob.opens("/people")
    bob.comes_online()
    bob.sees(text, within=15)
    stage.settle()
    assert sorted(name for name, _, error in seen.deliveries if error is None) == sorted([LIVE, CATCH_UP])


def has_failed(bob: Actor) -> bool:
    """Whether the page says that a message was not sent; waits for it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if any("Try again" in line or "Not sent" in line for line in bob.lines()):
            return True
    return False


def test_a_message_is_sent_again_until_a_server_takes_it(stage: Stage, stack: RunningStack, seen: Seen) -> None:
    """Its server is killed under the page; what fails for that reason is expected, and nothing is lost or doubled."""
    chat, bob = lunch(stage), stage.actor("bob")
    bob.opens(chat.screen)
    text = stage.unique("Hello")
    with bob.expects_trouble("its server is killed", pattern=r"net::ERR_|WebSocket connection|HTTP 50\d"):
        with ThreadPoolExecutor(1) as threads:
            with fault(stack, "backend", "killed"):
                sending = threads.submit(bob.sends, text, to=chat, keep_trying=60)
                with pytest.raises(Unreachable):
                    stage.actor("alice").changes_profile(bio="anybody there?")
                failed_at_first = has_failed(bob)
            assert failed_at_first
            sending.result(90)
        stage.actor("alice").catches_up(within=20)
        bob.catches_up(within=20)
    texts = bob.read(lambda store: [message["text"] for message in store.in_scope(f"chat:{chat.id}", "message")])
    assert texts == [text]
    stage.settle()
    assert sum(error is None for _, _, error in seen.deliveries) == 2


def test_does_not_see_waits_for_what_is_under_way(stage: Stage, stack: RunningStack) -> None:
    chat, alice, bob = lunch(stage), stage.actor("alice"), stage.actor("bob")
    bob.opens(chat.screen)
    text = stage.unique("Hello")
    with fault(stack, "relay", "frozen"):
        alice.sends(text, to=chat)
        assert not any(text in line for line in bob.lines())
    with pytest.raises(SeenAnyway):
        bob.does_not_see(text)
    with pytest.raises(SeenAnyway):
        bob.never_received(text)
    bob.does_not_see("a pink elephant")
    bob.never_received("a pink elephant")


def test_the_profile_is_changed_by_its_form(stage: Stage) -> None:
    bob = stage.actor("bob")
    bob.opens("/profile")
    for attempt in ("first", "second"):
        name, bio = stage.unique("Robert"), stage.unique(f"Hello, {attempt}")
        bob.changes_profile(first_name=name, bio=bio)
        bob.sees(name)
        assert bob.read(lambda store: store.entities("profile"))
        bob.catches_up()
        assert bio in str(bob.store()[f"profile:{bob.user}"])
    bob.changes_profile(first_name="Bob")


def test_who_signed_out_has_no_screen(stage: Stage) -> None:
    bob = stage.actor("bob")
    bob.opens("/profile")
    bob.signs_out()
    assert not bob.has_opened
    with pytest.raises(NotPossible, match="open a screen first"):
        bob.sees("Profile")
    bob.opens("/profile")
    bob.sees("Profile")


def test_a_wrong_password_is_told_by_the_form(stack: RunningStack, browsers: Browsers) -> None:
    eyes = Eyes(browsers=browsers, roles=["bob"])
    pool = Pool([Person(name="nobody-at-all", password="wrong")])
    with Stage(Target.of(stack), pool, eyes=eyes) as stage:
        with pytest.raises(FormRefused, match="did not let nobody-at-all in: "):
            stage.actor("bob").opens("/profile")
        stage.judge()


def test_a_chat_of_others_is_not_found(stage: Stage) -> None:
    alice, carol, bob = (stage.actor(role) for role in ("alice", "carol", "bob"))
    alice.opens("/chats")
    chat = alice.starts_chat(stage.unique("Secret"), with_=[carol])
    bob.opens("/people")
    with bob.expects_trouble("it is not his", pattern="HTTP 404"), pytest.raises(Refused, match="HTTP 404"):
        bob.opens(chat.screen)


@pytest.mark.parametrize("screen", ["/chats", "/profile", "/people", "chat"])
@pytest.mark.parametrize("window", [Window(), Window(width=390, height=844, dark=True)], ids=["wide", "narrow, dark"])
def test_screens_are_accessible(stage: Stage, screen: str, window: Window) -> None:
    bob = stage.actor("bob", window=window)
    path = lunch(stage).screen if screen == "chat" else screen
    bob.opens(path)
    assert isinstance(bob, BrowserActor)
    bob.checks_accessibility()
