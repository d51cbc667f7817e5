"""Actors at a real browser, on a small app of the tests' own: what they see, what fails, what they leave behind."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from harness.actors.actor import Chat, Job
from harness.actors.browser import BrowserActor
from harness.actors.errors import FormRefused, NotAccessible, NotPossible, NotSeen, SeenAnyway, Unreachable
from harness.actors.screens import UnknownScreen
from harness.browser.driver import Browsers
from harness.browser.window import PHONE
from harness.play.errors import UncleanConsole
from harness.play.people import Person, Pool
from harness.play.stage import Stage
from harness.tests.browsing import play, stage_of
from harness.tests.small_app import PASSWORD, SmallApp, small_app

pytestmark = pytest.mark.stack

LUNCH = Chat(id=1, title="Lunch", members=frozenset())
JPEG = b"\xff\xd8\xff"


def test_who_has_a_window_sees_the_page_and_its_fields(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        assert isinstance(bob, BrowserActor)
        bob.opens("/profile")
        bob.sees("Robert")
        assert "First name: Robert" in bob.lines()
        assert bob.user == 7
        with pytest.raises(NotSeen) as caught:
            bob.sees("a pink elephant", within=0.1)
    told = str(caught.value)
    assert told.startswith("bob does not see 'a pink elephant' within 0.1 s\non the screen /profile/, ")
    assert "live connection live" in told
    assert "| First name: Robert" in told


def test_what_comes_later_is_seen_when_it_comes(browsers: Browsers) -> None:
    late = "setTimeout(() => document.querySelector('main').append('Here I am'), 300);"
    with (
        small_app(scripts={"/late.js": late}, head='<script src="/late.js"></script>') as app,
        stage_of(app, browsers) as stage,
    ):
        stage.actor("bob").opens("/people")
        stage.actor("bob").sees("Here I am", within=5)


def test_a_form_signs_in_and_says_no(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers, Pool([Person(name="bob", password=PASSWORD)])) as stage:
        stage.actor("bob").opens("/profile")
        stage.actor("bob").sees("Robert")
        stage.judge()
    with stage_of(app, browsers, Pool([Person(name="bob", password="wrong")])) as stage:
        with pytest.raises(FormRefused, match="did not let bob in: That was not right"):
            stage.actor("bob").opens("/profile")
        # It is told already: not once more as a request that failed.
        stage.judge()


def test_a_session_that_ended_is_explained(app: SmallApp, browsers: Browsers) -> None:
    with (
        stage_of(app, browsers, Pool([Person(name="bob", session="old")])) as stage,
        pytest.raises(NotPossible, match="session that bob came with has ended"),
    ):
        stage.actor("bob").opens("/profile")


def test_links_in_view_are_clicked_and_other_screens_loaded(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers) as stage:
        phone = stage.actor("bob", device="phone", window=PHONE)
        phone.opens("/chats")
        phone.opens("/chats/1")
        phone.sees("Bob: Hello")
        phone.opens("/people")
        phone.sees("Nobody")
        phone.opens("/people")
        with pytest.raises(UnknownScreen, match="no screen '/nonsense'"):
            phone.opens("/nonsense")


def test_what_can_not_be_done_yet_is_said(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        with pytest.raises(NotPossible, match="open a screen first"):
            bob.sees("anything")
        for attempt in (lambda: bob.opens("/jobs"), lambda: bob.starts_job("x"), lambda: bob.sees_job(JOB, "done")):
            with pytest.raises(NotPossible, match="no screen for jobs"):
                attempt()
        bob.opens("/people")
        with pytest.raises(NotSeen, match=r"bob can't save the profile: .*Last name"):
            patiently(bob)


JOB = Job(id=1, kind="x")


def patiently(bob: object) -> None:
    """Fill in a form of a page that does not have it."""
    assert isinstance(bob, BrowserActor)
    bob.opens("/profile")
    bob._hands._patience = 1.0
    bob._tab.page.set_default_timeout(300)
    bob.changes_profile(last_name="Tables")


def test_unread_messages_are_read_from_the_list(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        # Not in view here: he goes where it is.
        bob.opens("/profile")
        bob.sees_unread(3, LUNCH)
        with pytest.raises(NotSeen, match="does not see 2 unread in 'Lunch'"):
            bob.sees_unread(2, LUNCH, within=0.1)


def test_the_store_of_the_app_can_be_read(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        bob.opens("/people")
        assert bob.read(lambda store: store.user) == 7
        assert set(bob.store()) == {"user:7", "chat:1"}
        # As the ledger asks it at the end of a play.
        stage.deliveries.expect("c-3", [bob], about="'Hello'", began=0.0)
        stage.settle(within=10)
        assert stage.deliveries.received == 1


def test_a_lost_network_is_no_trouble_and_no_screen_opens(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        bob.opens("/people")
        bob.goes_offline()
        assert (bob.online, bob.connection) == (False, "offline on purpose")
        bob.sees("Nobody")
        with pytest.raises(NotPossible, match="bob is offline"):
            bob.opens("/chats")
        fetch_in(bob)
        assert bob.unexpected_trouble == ()
        bob.comes_online()
        bob.opens("/chats")


def fetch_in(bob: object) -> None:
    assert isinstance(bob, BrowserActor)
    bob._browsers.run(
        bob._tab.page.evaluate("() => fetch('/nothing').then((a) => a.status, () => 0)"),
        within=20,
    )


def test_where_no_server_is_nothing_can_be_reached(browsers: Browsers) -> None:
    with small_app() as app, stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        bob.opens("/profile")
        app.shutdown()
        app.server_close()
        with pytest.raises(Unreachable, match=r"/people/: no answer .*ERR_"):
            bob.opens("/people")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("console.error('it broke');", "console: error: it broke"),
        ("console.warn('Hydration failed');", "console: warning: Hydration failed"),
        ("setTimeout(() => { throw new Error('uncaught'); });", "page: Error: uncaught"),
        ("fetch('/nothing');", "response: GET /nothing: HTTP 404"),
        ("document.documentElement.insertAdjacentHTML('beforeend', '<p style=top:0>');", "Content Security Policy"),
    ],
)
def test_what_goes_wrong_in_a_page_fails_the_play(browsers: Browsers, tmp_path: Path, script: str, told: str) -> None:
    def story(stage: Stage) -> None:
        with stage.step("Look"):
            stage.actor("bob").opens("/people")

    with small_app(scripts={"/bad.js": script}, head='<script src="/bad.js"></script>') as app:
        done = play(app, browsers, story, tmp_path)
    assert isinstance(done.failure, UncleanConsole)
    assert "1 times something went wrong in a window" in str(done.failure)
    assert told in str(done.failure)
    assert done.evidence is not None
    assert told.partition(": ")[2] in (done.evidence / "bob.console.txt").read_text(encoding="utf-8")
    assert sum(moment.failed for moment in done.moments if moment.kind in ("console", "fault")) == 1


def test_what_is_expected_does_not(browsers: Browsers, tmp_path: Path) -> None:
    def story(stage: Stage) -> None:
        with stage.actor("bob").expects_trouble("it is known", pattern="it broke|/nothing"):
            stage.actor("bob").opens("/people")

    script = "console.error('it broke'); fetch('/nothing');"
    with small_app(scripts={"/bad.js": script}, head='<script src="/bad.js"></script>') as app:
        done = play(app, browsers, story, tmp_path, keep=True)
    assert done.error is None
    assert done.evidence is not None
    assert "it broke (/bad.js) (expected: it is known)" in (done.evidence / "bob.console.txt").read_text()


def test_data_that_a_page_asks_for_is_told_until_the_next_page(browsers: Browsers) -> None:
    asks = "fetch('/api/session').then(() => document.querySelector('main').append('has asked'));"
    pages = {"/people/": ("People", '<p>Nobody</p><script src="/asks.js"></script>')}
    with small_app(pages=pages, scripts={"/asks.js": asks}) as app, stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        page = bob.loads("/people")
        assert (page.status, page.path) == (200, "/people/")
        assert "Nobody" in page.text
        bob.opens("/people")
        bob.read(lambda store: store.user)
        assert list(bob.data_requests) == ["GET /api/session"]
        bob.loads("/profile")
        assert list(bob.data_requests) == []


def test_a_page_that_breaks_rules_of_accessibility_is_told_so(browsers: Browsers) -> None:
    with small_app(pages={"/people/": ("People", "<input>")}) as app, stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        bob.opens("/profile")
        bob.checks_accessibility()
        bob.opens("/people")
        with pytest.raises(
            NotAccessible, match=r"(?s)bob can't use /people/:\n- .*\(label, critical\), 1 times"
        ) as caught:
            bob.checks_accessibility()
        assert "input" in str(caught.value)
        stage.judge()


def test_two_threads_drive_two_actors(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers) as stage:
        bob, phone = stage.actor("bob"), stage.actor("bob", device="phone")
        together = threading.Barrier(2, timeout=60)
        failed: list[BaseException] = []

        def visit(actor: BrowserActor, path: str, text: str) -> None:
            try:
                together.wait()
                for _ in range(5):
                    actor.opens("/chats")
                    actor.opens(path)
                    actor.sees(text, within=10)
            except BaseException as error:
                failed.append(error)

        assert isinstance(bob, BrowserActor)
        assert isinstance(phone, BrowserActor)
        threads = [
            threading.Thread(target=visit, args=arguments)
            for arguments in ((bob, "/profile", "Robert"), (phone, "/chats/1", "Bob: Hello"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert failed == []


def test_what_a_page_hides_was_received_all_the_same(app: SmallApp, browsers: Browsers) -> None:
    with stage_of(app, browsers) as stage:
        bob = stage.actor("bob")
        assert isinstance(bob, BrowserActor)
        bob.opens("/profile")
        # The small app has no profile to put a marker into.
        bob.catches_up = lambda **_: None  # type: ignore[method-assign]  # as if all had come in
        bob.does_not_see("a secret")
        bob.never_received("a pink elephant")
        with pytest.raises(SeenAnyway, match="was sent 'a secret', which is not for them"):
            bob.never_received("a secret")
        with pytest.raises(SeenAnyway, match="was sent 'Hello'"):
            bob.never_received("Hello")
        with pytest.raises(SeenAnyway, match="sees 'Robert'"):
            bob.does_not_see("Robert")


def test_a_window_that_is_gone_is_said_and_hides_nothing(app: SmallApp, browsers: Browsers, tmp_path: Path) -> None:
    def story(stage: Stage) -> None:
        bob = stage.actor("bob")
        assert isinstance(bob, BrowserActor)
        bob.opens("/profile")
        browsers.run(bob._tab.page.close(), within=20)
        bob.sees("Robert")

    done = play(app, browsers, story, tmp_path)
    assert isinstance(done.failure, NotPossible)
    assert "The window is not open" in str(done.failure)
    assert done.evidence is not None
    assert "(the page can't be read" in (done.evidence / "bob.screen.txt").read_text(encoding="utf-8")
