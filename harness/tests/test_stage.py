from __future__ import annotations

import pytest

from harness.actors.errors import NotPossible
from harness.play.errors import NobodyLeft, OverBudget
from harness.play.people import Person, Pool
from harness.play.stage import Stage, Target
from harness.tests.observing import Seen

TARGET = Target(backends=("http://127.0.0.1:1", "http://127.0.0.1:2"))


def pool(*names: str) -> Pool:
    return Pool([Person(name=name, password="word") for name in names])


def test_a_role_is_the_same_actor_each_time_and_each_device_another() -> None:
    with Stage(TARGET, pool("bob")) as stage:
        bob, phone = stage.actor("bob"), stage.actor("bob", device="phone")
        assert stage.actor("bob") is bob
        assert phone is not bob
        assert phone.person is bob.person
        assert (bob.label, phone.label) == ("bob", "bob (phone)")


def test_roles_are_bound_to_different_people() -> None:
    with Stage(TARGET, pool("x", "bob")) as stage:
        assert stage.actor("alice").person.name == "x"
        assert stage.actor("bob").person.name == "bob"
        with pytest.raises(NobodyLeft):
            stage.actor("carol")


def test_two_stages_share_nobody_and_give_people_back() -> None:
    people = pool("alice", "bob")
    with Stage(TARGET, people, cast=["alice", "bob"]), pytest.raises(NobodyLeft):
        Stage(TARGET, people, cast=["alice"])
    with Stage(TARGET, people, cast=["alice", "bob"]) as later:
        assert later.actor("bob").person.name == "bob"


def test_actors_are_spread_over_the_backends() -> None:
    with Stage(TARGET, pool("alice", "bob", "carol")) as stage:
        bases = [stage.actor(role).base for role in ("alice", "bob", "carol")]
        assert bases == [*TARGET.backends, TARGET.backends[0]]


def test_texts_are_unique() -> None:
    with Stage(TARGET, pool()) as one, Stage(TARGET, pool()) as other:
        texts = {stage.unique("Hello") for stage in (one, other) for _ in range(50)}
    assert len(texts) == 100
    assert all(text.startswith("Hello ") for text in texts)
    assert not any(one != other and one in other for one in texts for other in texts)


def test_a_step_is_told_when_it_begins_and_when_it_ends() -> None:
    seen = Seen()
    with Stage(TARGET, pool(), observers=[seen]) as stage, stage.step("Look", cue="Now look.", budget=60):
        assert [step.running for step in seen.steps] == [True]
    begun, ended = seen.steps
    assert (ended.title, ended.cue, ended.budget) == (begun.title, begun.cue, begun.budget) == ("Look", "Now look.", 60)
    assert ended.seconds is not None
    assert not ended.over_budget
    assert ended.error is None


def test_a_step_over_its_budget_is_marked_and_passes() -> None:
    seen = Seen()
    with Stage(TARGET, pool(), observers=[seen]) as stage, stage.step("Slow", budget=0):
        pass
    assert seen.steps[-1].over_budget


def test_a_step_over_its_budget_fails_a_rehearsal() -> None:
    with (
        Stage(TARGET, pool(), rehearsal=True) as stage,
        pytest.raises(OverBudget, match="'Slow' took"),
        stage.step("Slow", budget=0),
    ):
        pass


def test_a_failed_step_fails_as_itself_and_is_told() -> None:
    seen = Seen()
    with (
        Stage(TARGET, pool(), observers=[seen], rehearsal=True) as stage,
        pytest.raises(ZeroDivisionError),
        stage.step("Broken", budget=0),
    ):
        raise ZeroDivisionError("by zero")
    assert seen.steps[-1].error == "ZeroDivisionError: by zero"


def test_who_has_no_screen_can_not_look() -> None:
    with Stage(TARGET, pool("bob")) as stage, pytest.raises(NotPossible, match="open a screen first"):
        stage.actor("bob").sees("anything")


def test_a_stack_without_an_admin_has_none_on_stage() -> None:
    with Stage(TARGET, pool("bob")) as stage, pytest.raises(NobodyLeft, match="role 'admin'"):
        stage.admin.signs_in()
