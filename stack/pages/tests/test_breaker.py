from __future__ import annotations

import logging

import pytest

from stack.pages.breaker import Breaker, State


def fail(breaker: Breaker, *times: float) -> None:
    for now in times:
        assert breaker.admits(now)
        breaker.fail(now, "error", trying=breaker.begin())


def test_three_failures_in_a_row_within_ten_seconds_open_it() -> None:
    breaker = Breaker("a")
    fail(breaker, 0, 5)
    assert breaker.admits(9.8)
    fail(breaker, 9.9)
    assert breaker.state is State.OPEN
    assert not breaker.admits(10.8)


def test_failures_far_apart_do_not_open_it() -> None:
    breaker = Breaker("a")
    fail(breaker, 0, 6, 11, 17, 22)
    assert breaker.state is State.CLOSED


def test_a_success_in_between_forgets_failures() -> None:
    breaker = Breaker("a")
    fail(breaker, 0, 1)
    breaker.succeed(trying=breaker.begin())
    fail(breaker, 2, 3)
    assert breaker.state is State.CLOSED


def test_one_request_tries_ever_more_rarely_until_one_succeeds() -> None:
    breaker = Breaker("a")
    fail(breaker, 0, 0, 0)
    now, pauses = 0.0, []
    for pause in (1, 2, 4, 8, 10, 10):
        assert not breaker.admits(now + pause - 0.01)
        now += pause
        assert breaker.admits(now)
        trying = breaker.begin()
        assert breaker.state is State.HALF_OPEN
        assert trying
        assert not breaker.admits(now)
        breaker.fail(now, "error", trying=trying)
        pauses.append(pause)
    now += 10
    breaker.succeed(trying=breaker.begin())
    assert breaker.state is State.CLOSED
    fail(breaker, now, now, now)
    assert not breaker.admits(now + 0.99)
    assert breaker.admits(now + 1)


def test_a_viewer_whose_pages_fail_does_not_open_it_alone() -> None:
    breaker = Breaker("a")

    def fail_for(viewer: int, now: float) -> None:
        breaker.fail(now, "status", trying=breaker.begin(), viewer=viewer)

    for now in range(9):
        fail_for(7, now)
    fail_for(8, 8)
    fail_for(7, 9)
    assert breaker.admits(9)
    fail_for(9, 9)
    assert not breaker.admits(9)


def test_a_viewers_failures_count_with_others() -> None:
    breaker = Breaker("a")
    breaker.fail(0, "status", trying=breaker.begin(), viewer=7)
    fail(breaker, 1, 2)
    assert breaker.state is State.OPEN


def test_a_try_with_a_page_that_may_be_at_fault_leaves_the_next_one_to_try() -> None:
    breaker = Breaker("a")
    fail(breaker, 0, 0, 0)
    breaker.fail(1, "invalid", trying=breaker.begin(), viewer=7)
    assert breaker.state is State.OPEN
    assert breaker.admits(1)


def test_a_try_that_nobody_waits_for_leaves_the_next_one_to_try() -> None:
    breaker = Breaker("a")
    fail(breaker, 0, 0, 0)
    breaker.give_up(trying=breaker.begin())
    assert breaker.state is State.OPEN
    assert breaker.admits(1)


def test_requests_from_before_have_no_say() -> None:
    breaker = Breaker("a")
    early = breaker.begin()
    fail(breaker, 0, 0, 0)
    breaker.succeed(trying=early)
    assert breaker.state is State.OPEN
    breaker.fail(0.9, "timeout", trying=early)
    assert breaker.admits(1)


def test_opening_and_closing_are_logged_once_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker("http://127.0.0.1:3000")
    with caplog.at_level(logging.INFO):
        fail(breaker, 0, 0, 0)
        fail(breaker, 1, 3, 7)
        breaker.succeed(trying=breaker.begin())
    assert [record.message for record in caplog.records] == [
        "The renderer http://127.0.0.1:3000 is left alone after 3 failures: error.",
        "The renderer http://127.0.0.1:3000 answers again.",
    ]
