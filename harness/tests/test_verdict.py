"""The first three lines about a failed play: defects planted one by one, told as a newcomer needs them."""

from __future__ import annotations

import json
import linecache
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.actors.errors import NotPossible, NotSeen, Refused, SeenAnyway, Unreachable, View
from harness.play.clues import trouble_in
from harness.play.errors import LostDelivery, OverBudget, UncleanConsole
from harness.play.happenings import FaultSpan, LogSlice
from harness.play.moments import Moment
from harness.play.observers import Step
from harness.play.people import Person, Pool
from harness.play.runner import Play, perform
from harness.play.scenario import Scenario, scenario
from harness.play.stage import Stage, Target
from harness.play.verdict import verdict
from harness.report.cleaning import MASK
from harness.tests.reporting import a_moment, a_play

HERE = "harness/tests/test_verdict.py"
ASKED = Step(title="Alice asks", cue=None, budget=5, seconds=1.0, at=1.0)
ANSWERED = Step(title="Bob answers", cue=None, budget=5, seconds=3.0, at=2.0, error="NotSeen: ...")
STEPS = (ASKED, ANSWERED)
LOOK = a_moment(4.9, "sees 'Hi'", kind="sees", failed=True)


def played(story: Callable[[Stage], None], *, rehearsal: bool = False) -> Play:
    """A play of a story at a server that is not there."""
    one: Scenario = scenario("A story")(story)
    people = Pool([Person(name="bob", password="word")])
    return perform(one, Target(backends=("http://127.0.0.1:1",)), people, rehearsal=rehearsal)


def failed(
    failure: Exception,
    *,
    steps: Sequence[Step] = STEPS,
    moments: Sequence[Moment] = (LOOK,),
    faults: Sequence[FaultSpan] = (),
    logs: Sequence[LogSlice] = (),
    evidence: Path | None = None,
) -> Play:
    """A play of five seconds that failed in its second step."""
    play = a_play(failure, steps=steps, moments=moments, evidence=evidence)
    return replace(play, seconds=5.5, faults=tuple(faults), logs=tuple(logs))


def not_seen(claim: str = "does not see 'Hi' within 2 s", **given: object) -> NotSeen:
    told = {"actor": "bob", "screen": "/chats", "lines": ["Lunch"], "frames": [], "connection": "live"} | given
    return NotSeen(claim, View(**told))  # type: ignore[arg-type]  # words for any of its fields


def at(play: Play) -> tuple[str, str, str]:
    """The three lines, the second one without its place, which is checked to be that of the code."""
    what, where, why = verdict(play)
    place, _, code = where.partition(": ")
    file, _, line = place.rpartition(":")
    assert file == HERE
    assert linecache.getline(str(Path(__file__)), int(line)).strip().startswith(code[:8])
    return what, code, why


# Mistakes of the scenario itself


def test_a_verb_that_there_is_not() -> None:
    def story(stage: Stage) -> None:
        bob = stage.actor("bob")
        with stage.step("Bob looks"):
            bob.seees("Hi")  # type: ignore[attr-defined]  # the planted typo

    assert at(played(story)) == (
        "AttributeError: 'WebActor' object has no attribute 'seees', in step 1 'Bob looks'",
        'bob.seees("Hi")',
        "likely: a typo in the scenario: WebActor has no 'seees', but 'sees'",
    )


def test_a_name_that_there_is_not() -> None:
    def story(stage: Stage) -> None:
        title = stage.unique("Lunch")
        with stage.step(f"{title[:0]}Look"):
            print(titel)  # type: ignore[name-defined]  # noqa: F821 - the planted typo

    what, _, why = at(played(story))
    assert what == "NameError: name 'titel' is not defined, in step 1 'Look'"
    assert why == "likely: a typo in the scenario: there is no 'titel', but 'title'"


def test_a_call_that_does_not_fit() -> None:
    def story(stage: Stage) -> None:
        bob = stage.actor("bob")
        with stage.step("Bob looks"):
            bob.sees(
                "Hi",
                withn=2,  # type: ignore[call-arg]  # the planted typo
            )

    what, code, why = at(played(story))
    assert what.startswith("TypeError: WebActor.sees() got an unexpected keyword argument 'withn'")
    assert code == "bob.sees('Hi', withn=2)"
    assert why == "likely: a call in the scenario does not fit: sees() takes text, within"


def test_a_fixture_that_scenarios_do_not_get() -> None:
    def story(stage: Stage, bob: object) -> None:
        """Nothing comes of it."""

    what, code, why = at(played(story))  # type: ignore[arg-type]  # the planted fixture
    assert what.endswith("missing 1 required positional argument: 'bob', before the first step")
    assert code == "def story(stage: Stage, bob: object) -> None:"
    assert why == "likely: a scenario is given the stage alone, no fixtures: take 'bob' from stage.actor(...)"


def test_a_plain_claim_tells_its_values() -> None:
    def story(stage: Stage) -> None:
        loaded, everyone = 599, "x" * 100
        with stage.step("Count"):
            assert loaded == len(everyone)

    what, code, why = at(played(story))
    assert what == "the claim `loaded == len(everyone)` does not hold, in step 1 'Count'"
    assert code == "assert loaded == len(everyone)"
    assert why.startswith("likely: it was loaded = 599, everyone = 'xxx")
    assert len(why) < 150


def test_an_error_of_the_scenarios_own_code_tells_its_values() -> None:
    def story(stage: Stage) -> None:
        marks = {"bob": 3}
        who = "carol"
        assert marks[who]

    what, code, why = at(played(story))
    assert (what, code) == ("KeyError: 'carol', before the first step", "assert marks[who]")
    assert why == "likely: raised by the scenario's own code, with marks = {'bob': 3}, who = 'carol'"


def test_an_error_further_down_names_its_place() -> None:
    def story(stage: Stage) -> None:
        json.loads("{")

    what, _, why = at(played(story))
    assert what.startswith("JSONDecodeError: Expecting property name")
    assert "json/decoder.py:" in why
    assert why.endswith("which that line came to")


def test_too_few_people_and_what_to_do() -> None:
    def story(stage: Stage) -> None:
        stage.actor("bob")
        stage.actor("carol")

    what, code, why = at(played(story))
    assert what.startswith("NobodyLeft: ")
    assert code == 'stage.actor("carol")'
    assert why.startswith("what to do: ")
    assert "manage actors" in why


# What the stack did


def test_a_server_that_is_not_there() -> None:
    def story(stage: Stage) -> None:
        bob = stage.actor("bob")
        with stage.step("Bob comes"):
            bob.opens("/chats")

    what, code, why = at(played(story))
    assert what == "bob opens /chats and gets no answer, in step 1 'Bob comes'"
    assert code == 'bob.opens("/chats")'
    assert why.startswith("likely: GET http://127.0.0.1:1/api/session: no answer (ConnectError")


def test_what_never_becomes_so() -> None:
    def story(stage: Stage) -> None:
        with stage.step("Wait"):
            stage.until(lambda: False, "everybody is there", within=0.01)

    assert at(played(story)) == (
        "Not within 0.01 s: everybody is there, in step 1 'Wait'",
        'stage.until(lambda: False, "everybody is there", within=0.01)',
        "nothing unusual in the logs",
    )


def test_a_step_over_its_budget_in_a_rehearsal() -> None:
    def story(stage: Stage) -> None:
        with stage.step("Slow", budget=0):
            pass

    what, code, _ = at(played(story, rehearsal=True))
    assert what == "'Slow' took 0.0 s of 0 s, after step 1 'Slow'"
    assert code == 'with stage.step("Slow", budget=0):'


def test_a_slow_step_names_its_slowest_request() -> None:
    slow = [
        a_moment(2.5, "GET /api/chats: 80 ms", kind="request"),
        a_moment(4.0, "GET /people/: 2900 ms", kind="request"),
    ]
    *_, why = verdict(failed(OverBudget("'Bob answers' took 3.0 s of 1 s."), moments=slow))
    assert why == "likely: the slowest request in it: bob, GET /people/: 2900 ms"


def test_a_fault_in_force_explains_most() -> None:
    faults = [
        FaultSpan(what="redis: killed", began=2.5, ended=5.0, figures={"refused": 3, "cut": 0}),
        FaultSpan(what="relay: frozen", began=1.0, ended=1.5),
    ]
    what, _, why = verdict(failed(not_seen(), faults=faults))
    assert what == "bob does not see 'Hi' within 2 s, in step 2 'Bob answers'"
    assert why == "likely: the fault 'redis: killed' was in force since 2.5 s (refused 3)"


def test_a_fault_that_has_just_ended_is_told_too() -> None:
    fault = FaultSpan(what="redis: killed", began=2.1, ended=4.4)
    why = verdict(failed(not_seen(), faults=[fault]))[2]
    assert why == "likely: the fault 'redis: killed' had ended before, in the same step"


def test_a_fault_whose_mending_took_long_was_in_force_all_the_same() -> None:
    moments = [
        a_moment(2.1, "opens /chats", failed=True),
        a_moment(2.5, "GET /api/session: ConnectError, 1 ms", kind="request", failed=True),
    ]
    fault = FaultSpan(what="backend-1: killed", began=2.05, ended=2.6)
    lines = verdict(failed(Unreachable("GET http://x/: no answer."), moments=moments, faults=[fault]))
    assert lines[0] == "bob opens /chats and gets no answer, in step 2 'Bob answers'"
    assert lines[2] == ("likely: the fault 'backend-1: killed' was in force since 2.0 s; GET http://x/: no answer")


def test_a_resource_that_has_ended(tmp_path: Path) -> None:
    rows = [{"name": "relay-1", "state": "exited", "code": 1}, {"name": "redis", "state": "ready", "code": None}]
    (tmp_path / "state.json").write_text(json.dumps({"snapshot": {"resources": rows}}))
    logs = [LogSlice(resource="relay-1", lines=("Traceback (most recent call last):", " x", "OSError: no"), left_out=0)]
    play = failed(not_seen(), logs=logs, evidence=tmp_path / "plays" / "story")
    assert verdict(play)[2] == "likely: relay-1 has ended by itself (code 1); relay-1 wrote: OSError: no"


def test_a_request_that_failed_and_the_error_behind_it() -> None:
    request = a_moment(3.0, "GET /api/live/snapshot: HTTP 500, 12 ms", kind="request", failed=True)
    others = a_moment(3.5, "GET /x: HTTP 404, 1 ms", kind="request", failed=True, actor="carol")
    lines = (
        'INFO:     127.0.0.1:1 - "GET / HTTP/1.1" 500',
        "ERROR:    Exception in ASGI application",
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in b',
        "KeyError: 'seq'",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "a.py", line 2, in c',
        "ValueError: no such chat",
    )
    play = failed(
        not_seen(), moments=[request, others, LOOK], logs=[LogSlice(resource="backend-2", lines=lines, left_out=0)]
    )
    assert verdict(play)[2] == (
        "likely: a request of bob failed: GET /api/live/snapshot: HTTP 500, 12 ms (and 1 more);"
        " backend-2 wrote: ValueError: no such chat"
    )


def test_a_refusal_names_who_did_what_and_the_answer() -> None:
    moments = [
        a_moment(2.1, "sends 'Hi'", actor="alice", failed=True),
        a_moment(2.2, "POST /api/chats/:id/messages: HTTP 403, 5 ms", kind="request", actor="alice", failed=True),
    ]
    play = failed(Refused("POST /api/chats/7/messages: HTTP 403: You are no member.", status=403), moments=moments)
    what, _, why = verdict(play)
    assert what == "alice sends 'Hi' and is refused (HTTP 403), in step 2 'Bob answers'"
    assert why == "likely: POST /api/chats/7/messages: HTTP 403: You are no member"


def test_a_connection_that_is_not_live() -> None:
    play = failed(not_seen(connection="offline on purpose"))
    assert verdict(play)[2] == "likely: the live connection of bob is: offline on purpose"


def test_a_text_that_is_nearly_there() -> None:
    play = failed(not_seen("does not see 'Pizza at noon?' within 2 s", lines=["Lunch", "  Alice: Piza at noon?"]))
    assert verdict(play)[2] == "likely: a typo or an old state? The screen of bob shows 'Piza at noon?'"


def test_a_text_that_came_and_is_not_shown() -> None:
    play = failed(not_seen('does not see "it\'s" within 2 s', frames=['{"text": "it\'s"}']))
    assert "it did come in as a live frame, but the screen /chats of bob does not show it" in verdict(play)[2]


def test_nothing_unusual_tells_where_to_look(tmp_path: Path) -> None:
    evidence = tmp_path / "plays" / "story"
    assert verdict(failed(not_seen(), evidence=evidence))[2] == (
        "nothing unusual in the logs; bob is at /chats, the last line there is 'Lunch', live connection live;"
        f" evidence: {evidence}"
    )


def test_a_lost_message_after_the_last_step() -> None:
    lost = LostDelivery(
        "2 lost within 10 s:\n  'Hi' from alice -> bob (live connection live)\n  'Ho' from alice -> bob"
    )
    what, *_ = verdict(failed(lost, steps=[ASKED]))
    assert what == (
        "2 lost within 10 s: 'Hi' from alice -> bob (live connection live) (and 1 more), after step 1 'Alice asks'"
    )


def test_what_should_be_hidden_and_what_is_not_possible() -> None:
    view = View(actor="carol", screen="/chats", lines=[], frames=[], connection="live")
    seen = SeenAnyway("was sent 'Hi', which is not for them", view)
    assert verdict(failed(seen))[0] == "carol was sent 'Hi', which is not for them, in step 2 'Bob answers'"
    two = [a_moment(2.5, "starts the job 'x'", failed=True), a_moment(2.6, "x", actor="carol", failed=True)]
    wrong = NotPossible("The app has no screen for jobs.")
    assert verdict(failed(wrong, moments=two[:1]))[0].startswith("bob starts the job 'x': The app has no screen")
    assert verdict(failed(wrong, moments=two))[0].startswith("The app has no screen for jobs, in")


def test_trouble_in_a_window_and_how_to_expect_it() -> None:
    unclean = UncleanConsole("1 times something went wrong in a window:\n  bob: error: x is undefined")
    what, _, why = verdict(failed(unclean, moments=()))
    assert what.startswith("1 times something went wrong in a window: bob: error: x is undefined, in step 2")
    assert "expects_trouble" in why


def test_a_helper_beside_the_scenario_is_the_place_and_one_further_away_is_not(tmp_path: Path) -> None:
    def called_from(file: Path) -> Callable[[Stage], None]:
        space: dict[str, Callable[[Stage], None]] = {}
        exec(compile("def go(stage):\n    1 / 0\n", str(file), "exec"), space)
        return space["go"]

    beside, away = called_from(Path(__file__).with_name("beside.py")), called_from(tmp_path / "away.py")
    assert verdict(played(lambda stage: beside(stage)))[1] == "harness/tests/beside.py:2"
    assert verdict(played(lambda stage: away(stage)))[1].startswith(f"{HERE}:")


def test_no_line_tells_a_secret_or_ends_late(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(json.dumps([{"name": "bob", "password": "s3cr3tvalue"}]))
    log = LogSlice(resource="backend-1", lines=("ERROR s3cr3tvalue sessionid=abcdefgh\x1b[31m",), left_out=0)
    play = failed(not_seen(f"does not see 's3cr3tvalue{'x' * 900}'"), logs=[log], evidence=tmp_path / "plays" / "story")
    lines = verdict(play)
    assert not any("s3cr3tvalue" in line or "abcdefgh" in line or "\n" in line or "\x1b" in line for line in lines)
    assert max(map(len, lines)) < 300
    assert MASK in lines[2]


def test_a_play_that_passed_has_none() -> None:
    with pytest.raises(ValueError, match="did not fail"):
        verdict(a_play())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("2026-11-23 11:34:43,597 ERROR stack.live.hub: lost", "ERROR stack.live.hub: lost"),
        ("[2026-11-23 11:35:44,480: ERROR/ForkPoolWorker-2] Task x raised", None),
        ("2026-11-23 10:40:58.829 UTC [26457] ERROR:  could not serialize access due to concurrent update", ""),
        ("2026-11-23 11:02:53.387 UTC [7818] FATAL:  the database system is starting up", ""),
        ("2026-11-23 11:02:53.387 UTC [7818] PANIC:  could not write", "PANIC:  could not write"),
        ("INFO: no errors at all", ""),
        (" ⨯ Error: it broke", "⨯ Error: it broke"),
    ],
)
def test_trouble_is_told_from_noise(line: str, told: str | None) -> None:
    found = trouble_in(["INFO fine", line, "INFO fine again"])
    assert found == (line if told is None else told or None)
