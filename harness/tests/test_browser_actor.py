"""Actors at a real browser, on a small app of the tests' own: what they see, what fails, what they leave behind."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from harness.actors.actor import Chat, Job
from harness.actors.browser import BrowserActor
from harness.actors.errors import FormRefused, NotAccessible, NotPossible, NotSeen, SeenAnyway, Unreachable
from harness.actors.screens import UnknownScreen
from harness.browser.driver import Browsers
from harness.browser.window import PHONE
from harness.play.errors import UncleanConsole
from harness.play.eyes import Eyes
from harness.play.people import Person, Pool
from harness.play.runner import Play, perform
from harness.play.scenario import scenario
from harness.play.stage import Stage, Target
from harness.tests.observing import Seen
from harness.tests.small_app import PASSWORD, SESSION, SmallApp, small_app

pytestmark = pytest.mark.stack

LUNCH = Chat(id=1, title="Lunch", members=frozenset())
JPEG = b"\xff\xd8\xff"


@pytest.fixture(scope="module")
def browsers() -> Iterator[Browsers]:
    with Browsers.found() as browsers:
        yield browsers


@pytest.fixture
def app() -> Iterator[SmallApp]:
    with small_app() as app:
        yield app


def with_session() -> Pool:
    return Pool([Person(name="bob", session=SESSION)])


def stage_of(app: SmallApp, browsers: Browsers, pool: Pool | None = None, *, folder: Path | None = None) -> Stage:
    eyes = Eyes(browsers=browsers, roles=["bob"], folder=folder)
    return Stage(Target(backends=(app.base,)), pool or with_session(), observers=[Seen()], eyes=eyes)


def play(
    app: SmallApp, browsers: Browsers, story: Callable[[Stage], None], folder: Path | None = None, *, keep: bool = False
) -> Play:
    made = scenario("A story", cast=["bob"], windows=["bob"])(story)
    target = Target(backends=(app.base,))
    return perform(made, target, with_session(), folder=folder, eyes=True, browsers=browsers, keep=keep)


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


def test_a_play_leaves_pictures_and_where_it_fails_all_there_is(
    app: SmallApp, browsers: Browsers, tmp_path: Path
) -> None:
    def story(stage: Stage) -> None:
        bob, phone = stage.actor("bob"), stage.actor("bob", device="phone", window=PHONE)
        with stage.step("Everybody looks"):
            bob.opens("/profile")
            phone.opens("/chats")
        with stage.step("Bob waits"):
            bob.sees("Godot", within=0.1)

    done = play(app, browsers, story, tmp_path)
    assert isinstance(done.failure, NotSeen)
    assert (done.name, done.eyes) == ("story[browser]", True)
    assert done.evidence == tmp_path / "plays" / "story-browser"
    pictures = [moment for moment in done.moments if moment.kind == "screenshot"]
    assert [(one.actor, one.file, one.failed) for one in pictures] == [
        ("bob", "01-everybody-looks-bob.jpg", False),
        ("bob (phone)", "01-everybody-looks-bob-phone.jpg", False),
        ("bob", "02-bob-waits-bob.jpg", True),
        ("bob (phone)", "02-bob-waits-bob-phone.jpg", True),
        ("bob", "the-end-bob.jpg", True),
        ("bob (phone)", "the-end-bob-phone.jpg", True),
    ]
    for one in pictures:
        assert (done.evidence / str(one.file)).read_bytes().startswith(JPEG)
    for file in ("bob.screen.txt", "bob.frames.jsonl", "bob.console.txt", "bob-phone.trace.zip", "failure.txt"):
        assert (done.evidence / file).exists(), file
    with ZipFile(done.evidence / "bob.trace.zip") as trace:
        assert any(name.endswith(".trace") for name in trace.namelist())
    assert ("bob", "sees", "sees 'Godot'", True) in [(m.actor, m.kind, m.text, m.failed) for m in done.moments]


def test_a_picture_that_shows_nothing_new_is_not_kept(app: SmallApp, browsers: Browsers, tmp_path: Path) -> None:
    def story(stage: Stage) -> None:
        bob = stage.actor("bob")
        for title, screen in (("First", "/profile"), ("Again", "/profile"), ("Elsewhere", "/people")):
            with stage.step(title):
                bob.opens(screen)

    done = play(app, browsers, story, tmp_path)
    assert done.error is None
    kept = [moment.file for moment in done.moments if moment.kind == "screenshot"]
    assert kept == ["01-first-bob.jpg", "03-elsewhere-bob.jpg"]


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


@pytest.mark.parametrize("keep", [False, True])
def test_a_play_that_passed_keeps_its_trace_where_it_is_asked_to(
    app: SmallApp, browsers: Browsers, tmp_path: Path, keep: bool
) -> None:
    def story(stage: Stage) -> None:
        with stage.step("Look"):
            stage.actor("bob").opens("/profile")

    done = play(app, browsers, story, tmp_path, keep=keep)
    assert done.error is None
    assert done.evidence is not None
    assert (done.evidence / "bob.trace.zip").exists() is keep
    assert (done.evidence / "01-look-bob.jpg").exists()


def test_live_frames_are_kept_in_both_directions(browsers: Browsers, tmp_path: Path) -> None:
    """The app has no live connection here: the tab is told as its browser would tell it."""

    def story(stage: Stage) -> None:
        bob = stage.actor("bob")
        assert isinstance(bob, BrowserActor)
        bob.opens("/people")
        stage.deliveries.expect("c-3", [bob], about="'Hello'", began=0.0)
        event = {"type": "event", "seq": 5, "scope": "chat:1", "prev": 4, "ops": []}
        upsert = {"op": "upsert", "type": "message", "id": 3, "data": {"id": 3, "client_id": "c-3"}}
        tab = bob._tab

        async def told() -> None:
            tab._on_frame('{"type": "hello", "cursor": null}', sent=True)
            tab._on_frame(json.dumps({**event, "ops": [upsert]}), sent=False)

        browsers.run(told(), within=10)
        stage.settle(within=10)

    with small_app() as app:
        done = play(app, browsers, story, tmp_path)
    assert done.error is None
    assert [(timing.name, timing.count) for timing in done.deliveries] == [("message", 1)]
    assert done.evidence is not None
    rows = [json.loads(row) for row in (done.evidence / "bob.frames.jsonl").read_text().splitlines()]
    assert [(row["sent"], row["frame"]["type"]) for row in rows] == [(True, "hello"), (False, "event")]
    assert [moment.text for moment in done.moments if moment.kind == "frame"] == [
        "→ hello, with nothing yet",
        "← event 5 in chat:1: upsert message 3",
    ]


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
