"""Actors on the real stack: what they claim to see is there, and what fails says why."""

from __future__ import annotations

import json

import pytest

from harness.actors.actor import Chat
from harness.actors.errors import FormRefused, LookError, NotPossible, NotSeen, Refused, SeenAnyway
from harness.faults.catalogue import fault
from harness.play.deliveries import CATCH_UP, LIVE
from harness.play.errors import LostDelivery
from harness.play.people import Person, Pool, people_of
from harness.play.runner import perform
from harness.play.scenario import scenario
from harness.play.stage import Stage, Target
from harness.stack import RunningStack
from harness.tests.observing import Seen


def lunch(stage: Stage) -> Chat:
    alice, bob = stage.actor("alice"), stage.actor("bob")
    for actor in (alice, bob):
        actor.opens("/chats")
    chat = alice.starts_chat(stage.unique("Lunch"), with_=[bob])
    for actor in (alice, bob):
        actor.sees(chat.title, within=10)
    return chat


def test_who_does_not_see_tells_everything_about_it(stage: Stage) -> None:
    bob = stage.actor("bob", device="phone")
    bob.opens("/profile")
    bio = stage.unique("I live on a hill")
    bob.changes_profile(bio=bio)
    bob.sees(bio, within=10)
    with pytest.raises(NotSeen) as caught:
        bob.sees("a pink elephant", within=0.1)
    told = str(caught.value)
    assert told.startswith("bob (phone) does not see 'a pink elephant' within 0.1 s")
    assert "on the screen /profile, live connection live" in told
    assert f"| About me: {bio}" in told
    assert "last live frames" in told
    assert '"type": "event"' in told
    assert isinstance(caught.value, AssertionError)


def test_does_not_see_fails_where_the_text_is_seen(stage: Stage) -> None:
    chat = lunch(stage)
    bob = stage.actor("bob")
    bob.does_not_see("a pink elephant")
    with pytest.raises(SeenAnyway, match="which should not be there"):
        bob.does_not_see(chat.title)


def test_does_not_see_waits_for_what_is_under_way(stage: Stage, stack: RunningStack) -> None:
    """What was done before the claim is not on the screen yet, and the claim fails all the same."""
    chat = lunch(stage)
    alice, bob = stage.actor("alice"), stage.actor("bob")
    bob.opens(chat.screen)
    text = stage.unique("Hello")
    with fault(stack, "relay", "frozen"):
        alice.sends(text, to=chat)
        assert not any(text in line for line in bob.lines())
    with pytest.raises(SeenAnyway):
        bob.does_not_see(text)


def test_does_not_see_is_no_claim_where_nothing_comes_through(stage: Stage, stack: RunningStack) -> None:
    bob = stage.actor("bob")
    bob.opens("/profile")
    with fault(stack, "relay", "frozen"), pytest.raises(NotSeen, match="does not get a marker"):
        bob.catches_up(within=0.5)


def test_what_was_received_is_found_whatever_the_screen_shows(stage: Stage) -> None:
    chat = lunch(stage)
    bob = stage.actor("bob")
    bob.opens("/jobs")
    with pytest.raises(SeenAnyway, match="which is not for them"):
        bob.never_received("a pink elephant", chat.title)


def test_who_was_offline_catches_up_and_nothing_is_lost(stack: RunningStack) -> None:
    seen = Seen()
    with Stage(Target.of(stack), people_of(stack), observers=[seen]) as stage:
        chat = lunch(stage)
        alice, bob = stage.actor("alice"), stage.actor("bob")
        bob.opens(chat.screen)
        bob.goes_offline()
        text = stage.unique("Hello")
        alice.sends(text, to=chat)
        alice.opens(chat.screen)
        alice.sees(text, within=10)
        with pytest.raises(NotSeen, match="live connection offline on purpose"):
            bob.sees(text, within=0.1)
        with pytest.raises(NotPossible, match="offline"):
            bob.opens("/chats")
        bob.comes_online()
        bob.sees(text, within=15)
        stage.settle()
        assert sorted(name for name, _, error in seen.deliveries if error is None) == sorted([LIVE, CATCH_UP])


def test_a_message_that_does_not_come_is_lost(stack: RunningStack) -> None:
    with Stage(Target.of(stack), people_of(stack)) as stage:
        chat = lunch(stage)
        with fault(stack, "relay", "frozen"):
            stage.actor("alice").sends("Anybody there?", to=chat)
            with pytest.raises(LostDelivery) as caught:
                stage.settle(within=0.3)
        assert "2 lost within 0.3 s" in str(caught.value)
        assert f"'Anybody there?' from alice in {chat.title!r}" in str(caught.value)
        assert "-> bob (live connection live)" in str(caught.value)


def test_a_refused_message_is_an_error_and_expected_by_nobody(stage: Stage) -> None:
    chat = lunch(stage)
    carol = stage.actor("carol")
    with pytest.raises(Refused, match=f"POST /api/chats/{chat.id}/messages: HTTP 404"):
        carol.sends("Let me in!", to=chat)
    assert stage.deliveries.outstanding == 0


def test_who_signed_out_has_no_screen(stage: Stage) -> None:
    bob = stage.actor("bob")
    bob.opens("/profile")
    bob.signs_out()
    with pytest.raises(NotPossible, match="open a screen first"):
        bob.sees("Username")
    bob.opens("/profile")
    bob.sees("Username")


def test_a_session_that_ended_is_explained(stack: RunningStack) -> None:
    pool = Pool([Person(name="ghost", session="0123456789abcdef0123456789abcdef")])
    with Stage(Target.of(stack), pool) as stage, pytest.raises(NotPossible, match="session that ghost came with"):
        stage.actor("bob").opens("/profile")


def test_people_with_sessions_need_no_password(stack: RunningStack) -> None:
    made = stack.manage("actors", "--count", "2", "--json")
    people = [Person(name=row["name"], session=row["session"]) for row in json.loads(made.stdout)]
    seen = Seen()
    with Stage(Target.of(stack), Pool(people), observers=[seen]) as stage:
        lunch(stage)
        stage.settle()
    assert not any(method == "POST" and name == "/api/session" for method, name, _ in seen.requests)


def test_the_admins_form_says_what_is_wrong_with_it(stage: Stage) -> None:
    bob = stage.actor("bob")
    with pytest.raises(FormRefused, match="at most"):
        stage.admin.changes("profile", of=bob, first_name="x" * 10_000)
    with pytest.raises(NotPossible, match=r"no field 'shoe_size'; it has: .*first_name"):
        stage.admin.changes("profile", of=bob, shoe_size="43")
    with pytest.raises(NotPossible, match="knows no 'shoe'"):
        stage.admin.changes("shoe", of=bob, size="43")


def test_the_admins_login_says_what_is_wrong_with_it(stack: RunningStack) -> None:
    pool = Pool([Person(name="admin", role="admin", password="wrong")])
    with Stage(Target.of(stack), pool) as stage, pytest.raises(FormRefused, match=r"did not let admin in: .*correct"):
        stage.admin.signs_in()


def test_a_failed_play_leaves_its_evidence(stack: RunningStack) -> None:
    @scenario("Bob waits for what never comes", cast=["bob"])
    def waiting(stage: Stage) -> None:
        with stage.step("Bob opens his profile"):
            stage.actor("bob").opens("/profile")
        with stage.step("Bob waits"):
            stage.actor("bob").changes_profile(bio=stage.unique("I wait"))
            stage.actor("bob").sees("I wait", within=10)
            stage.actor("bob").sees("Godot", within=0.1)

    play = perform(waiting, Target.of(stack), people_of(stack), folder=stack.folder)
    assert isinstance(play.failure, LookError)
    assert [step.error is None for step in play.steps] == [True, False]
    assert play.evidence == stack.folder / "plays" / "waiting"
    assert "does not see 'Godot'" in (play.evidence / "failure.txt").read_text(encoding="utf-8")
    assert "About me: I wait" in (play.evidence / "bob.screen.txt").read_text(encoding="utf-8")
    frames = (play.evidence / "bob.frames.jsonl").read_text(encoding="utf-8").splitlines()
    assert any("I wait" in json.dumps(json.loads(frame)) for frame in frames)


def test_a_passed_play_clears_the_failure_of_the_one_before(stack: RunningStack) -> None:
    outcomes = iter([AssertionError("once"), None])

    @scenario("It fails once", cast=[])
    def fickle(stage: Stage) -> None:
        if (outcome := next(outcomes)) is not None:
            raise outcome

    for passed in (False, True):
        play = perform(fickle, Target.of(stack), people_of(stack), folder=stack.folder)
        assert play.passed is passed
        assert play.evidence is not None
        assert (play.evidence / "failure.txt").exists() is not passed
