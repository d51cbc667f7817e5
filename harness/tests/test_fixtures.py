"""The plugin's fixtures, as any test gets them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.actors.actor import Actor
from harness.live import LiveStore
from harness.play.stage import Stage
from harness.stack import RunningStack


def test_live_store_makes_empty_stores(live_store: Callable[[], LiveStore]) -> None:
    one, other = live_store(), live_store()
    assert one is not other
    assert (one.user, one.scopes, one.cursor) == (None, frozenset(), None)


def test_stack_is_whole_and_has_two_of_each(stack: RunningStack, request: pytest.FixtureRequest) -> None:
    assert len(stack.backends) == 2
    names = {status.name for status in stack.resources()}
    assert {f"{kind}-{number}" for kind in ("relay", "worker", "renderer") for number in (1, 2)} <= names
    assert stack.services == ("embedded", "embedded")
    assert {status.state for status in stack.resources()} == {"ready", "done"}
    assert request.node.get_closest_marker("stack") is not None


def test_actor_is_on_the_tests_stage(actor: Callable[..., Actor], stage: Stage) -> None:
    phone = actor("bob", device="phone")
    assert phone is stage.actor("bob", device="phone")
    phone.opens("/people")
    phone.sees("Alice")
