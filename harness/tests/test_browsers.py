"""The thread that drives browsers: deadlines, several callers, Ctrl-C, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from harness.browser.chromium import Chromium
from harness.browser.driver import Browsers, can_show
from harness.browser.errors import BrowserEnded, TooSlow
from harness.browser.tab import Tab
from harness.browser.trouble import Trouble
from harness.browser.uplink import Uplink
from harness.browser.window import LAPTOP, PHONE, Window
from harness.errors import NoBrowser
from harness.tests.helpers import eventually, is_alive
from harness.tests.small_app import SmallApp, small_app

GONE_WITHIN = 10.0


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []
        self.requests: list[tuple[str, str, str | None]] = []

    def frame(self, text: str, *, sent: bool, at: float) -> None: ...

    def request(self, method: str, path: str, ms: float, error: str | None) -> None:
        self.requests.append((method, path, error))

    def console(self, level: str, text: str, *, at: float) -> None: ...

    def trouble(self, trouble: Trouble) -> None:
        self.troubles.append(trouble)


def tab_of(browsers: Browsers, app: SmallApp, heard: Heard, window: Window = LAPTOP) -> Tab:
    return Tab(browsers, base=app.base, window=window, position=(0, 0), listener=heard)


def below(pid: int) -> list[int]:
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


@pytest.fixture
def idle() -> Iterator[Browsers]:
    """A driver that never starts a browser."""
    with Browsers(Chromium(path=Path("/nonexistent/chromium"), version="1", source="a test")) as browsers:
        yield browsers


async def give(value: int, *, after: float = 0.0) -> int:
    await asyncio.sleep(after)
    return value


def test_work_is_done_for_any_thread(idle: Browsers) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda number: idle.run(give(number, after=0.01), within=10), range(20)))
    assert done == list(range(20))


def test_work_has_a_deadline(idle: Browsers) -> None:
    with pytest.raises(TooSlow, match=r"within 0\.05 s"):
        idle.run(give(1, after=60), within=0.05)
    assert idle.run(give(2), within=10) == 2


def test_an_error_of_the_works_own_comes_as_it_is(idle: Browsers) -> None:
    async def break_off() -> None:
        raise TimeoutError("the work's own")

    with pytest.raises(TimeoutError, match="the work's own"):
        idle.run(break_off(), within=10)


def test_closing_ends_who_waits_and_can_be_done_twice(idle: Browsers) -> None:
    begun = threading.Event()
    ended: list[BaseException] = []

    async def wait() -> None:
        begun.set()
        await asyncio.sleep(60)

    def waits() -> None:
        try:
            idle.run(wait(), within=60)
        except BrowserEnded as error:
            ended.append(error)

    other = threading.Thread(target=waits)
    other.start()
    assert begun.wait(10)
    idle.close()
    idle.close()
    other.join(10)
    assert len(ended) == 1


def test_a_browser_that_does_not_start_is_explained(idle: Browsers) -> None:
    with pytest.raises(NoBrowser, match="/nonexistent/chromium did not start: ") as caught:
        idle.run(idle.browser(), within=60)
    assert "HARNESS_CHROMIUM" in caught.value.hint


def test_windows_are_put_beside_each_other_and_their_places_used_again() -> None:
    with Browsers(Chromium(path=Path("/nonexistent"), version="1", source="a test"), visible=True) as browsers:
        laptop, phone = browsers.fitted(LAPTOP), browsers.fitted(PHONE)
        assert (laptop.width, laptop.height, phone) == (640, 800, PHONE)
        places = [browsers.place(window) for window in (laptop, phone, laptop, phone)]
        assert places == [(0, 0), (640, 0), (1030, 0), (0, 80)]
        browsers.leave((640, 0), phone)
        browsers.leave((1030, 0), laptop)
        assert [browsers.place(window) for window in (laptop, phone)] == [(1030, 0), (640, 0)]


def test_windows_that_nobody_sees_are_as_large_as_asked(idle: Browsers) -> None:
    assert idle.fitted(LAPTOP) is LAPTOP


def test_who_comes_after_the_end_is_told(idle: Browsers) -> None:
    idle.close()
    with pytest.raises(BrowserEnded, match="have been closed"):
        idle.run(give(1), within=10)


def test_a_screen_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    shown_without = can_show()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert can_show()
    assert shown_without is (sys.platform == "darwin")


def test_playwright_is_imported_at_the_first_need_alone() -> None:
    program = (
        "import sys, harness, harness.cli.play, harness.cli.browser, harness.pytest_plugin, harness.browser.driver\n"
        "from harness import Browsers, Stage, perform, discover\n"
        "sys.exit('playwright' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_uplink_leads_to_its_hosts_alone_and_can_be_cut() -> None:
    async def ask(uplink: str, host: bytes, port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(uplink.rpartition(":")[2]))
        try:
            writer.write(b"\x05\x01\x00\x05\x01\x00\x03" + bytes([len(host)]) + host + port.to_bytes(2, "big"))
            await reader.readexactly(2)
            answer = await reader.readexactly(10)
            if answer[1] == 0:
                writer.write(b"hello")
                return await reader.readexactly(5)
            return answer[:2]
        except (OSError, EOFError):
            return b"broken"
        finally:
            writer.close()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()

    async def story() -> list[bytes]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        uplink = Uplink(frozenset({"127.0.0.1"}))
        address = await uplink.open()
        answers = [await ask(address, b"127.0.0.1", port), await ask(address, b"example.org", 443)]
        answers.append(await ask(address, b"127.0.0.1", 1))
        uplink.cut()
        answers.append(await ask(address, b"127.0.0.1", port))
        uplink.mend()
        answers.append(await ask(address, b"127.0.0.1", port))
        assert uplink.refused == {"example.org"}
        await uplink.close()
        server.close()
        return answers

    assert asyncio.run(story()) == [b"hello", b"\x05\x02", b"\x05\x04", b"broken", b"hello"]


# With a real browser


@pytest.mark.stack
def test_a_page_is_read_as_people_read_it(browsers: Browsers) -> None:
    heard = Heard()

    async def story(tab: Tab) -> list[str]:
        await tab.open(patience=10)
        try:
            assert await tab.load("/profile/") == 200
            return await tab.lines()
        finally:
            await tab.close()

    with small_app() as app:
        lines = browsers.run(story(tab_of(browsers, app, heard)), within=60)
    assert "First name: Robert" in lines
    assert "Chats Profile" in lines
    assert not any("a secret" in line for line in lines)
    assert heard.troubles == []
    assert ("GET", "/profile/", None) in heard.requests


@pytest.mark.stack
def test_a_page_reaches_nobody_but_its_server(browsers: Browsers) -> None:
    heard = Heard()

    async def failed() -> bool:
        return bool(heard.troubles)

    async def story(tab: Tab) -> frozenset[str]:
        await tab.open(patience=10)
        try:
            await tab.load("/people/")
            await tab.page.evaluate("() => { location.assign('http://elsewhere.invalid/'); }")
            assert await tab.holds(failed, within=20)
            return tab.refused_hosts
        finally:
            await tab.close()

    with small_app() as app:
        assert "elsewhere.invalid" in browsers.run(story(tab_of(browsers, app, heard)), within=60)
    assert heard.troubles[0].kind == "request"


@pytest.mark.stack
def test_a_cut_network_breaks_open_connections_until_it_is_mended(browsers: Browsers) -> None:
    # An answer that never ends: only a broken connection can end it.
    slow = "() => { window.ended = fetch('/slow').then(() => 'answered', () => 'broken'); }"
    fetch = "() => fetch('/people/').then((r) => r.status, () => 'no network')"

    async def story(tab: Tab, app: SmallApp) -> list[object]:
        await tab.open(patience=10)
        try:
            await tab.load("/people/")
            await tab.page.evaluate(slow)
            await asyncio.to_thread(app.slow_asked.wait, 10)
            await tab.cut()
            found = [await tab.page.evaluate("() => window.ended"), await tab.page.evaluate("navigator.onLine")]
            found.append(await tab.page.evaluate(fetch))
            await tab.mend()
            return [*found, await tab.page.evaluate(fetch), await tab.page.evaluate("navigator.onLine")]
        finally:
            await tab.close()

    with small_app() as app:
        found = browsers.run(story(tab_of(browsers, app, Heard()), app), within=60)
    assert found == ["broken", False, "no network", 200, True]


@pytest.mark.stack
def test_what_the_owner_prefers_reaches_the_page(browsers: Browsers) -> None:
    asked = """() => [innerWidth, innerHeight, matchMedia("(prefers-color-scheme: dark)").matches,
        matchMedia("(prefers-reduced-motion: reduce)").matches, navigator.maxTouchPoints > 0]"""

    async def story(tab: Tab) -> list[object]:
        await tab.open(patience=10)
        try:
            await tab.load("/people/")
            found: list[object] = await tab.page.evaluate(asked)
            return found
        finally:
            await tab.close()

    with small_app(head='<meta name="viewport" content="width=device-width">') as app:
        window = Window(width=400, height=700, dark=True, calm=True, touch=True)
        shown = browsers.run(story(tab_of(browsers, app, Heard(), window)), within=60)
        plain = browsers.run(story(tab_of(browsers, app, Heard())), within=60)
    assert shown == [400, 700, True, True, True]
    assert plain == [1280, 800, False, False, False]


CHILD = """
import signal, sys
from harness import Browsers
signal.signal(signal.SIGINT, signal.default_int_handler)
with Browsers.found() as browsers:
    async def open():
        page = await (await browsers.browser()).new_page()
        await page.goto("about:blank")
    browsers.run(open(), within=60)
    print("ready", flush=True)
    try:
        import asyncio
        browsers.run(asyncio.sleep(600), within=600)
    except KeyboardInterrupt:
        browsers.run(open(), within=20)
        print("interrupted, and the browser still works", flush=True)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    """A process with a browser that waits; in a group of its own, as in a terminal."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.stack
def test_after_kill_9_nothing_is_left_running(child: subprocess.Popen[str]) -> None:
    started = below(child.pid)
    assert any("chrom" in psutil.Process(pid).name() for pid in started)
    child.kill()
    eventually(lambda: not any(map(is_alive, started)), within=GONE_WITHIN, what="all that it started has ended")


@pytest.mark.stack
def test_ctrl_c_interrupts_the_scenario_and_leaves_the_browser_to_it(child: subprocess.Popen[str]) -> None:
    started = below(child.pid)
    # As a terminal does: to every process of the group.
    os.killpg(child.pid, signal.SIGINT)
    began = time.monotonic()
    out, _ = child.communicate(timeout=40)
    assert "interrupted, and the browser still works" in out
    assert time.monotonic() - began < 30
    assert child.returncode == 0
    eventually(lambda: not any(map(is_alive, started)), within=GONE_WITHIN, what="all that it started has ended")
