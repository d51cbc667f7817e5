"""Builds of the front end: made once for each content, whole or not at all. npm and Next.js are small fakes here."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import BuildFailed, DiskFull
from harness.frontend.build import Build
from harness.frontend.packages import ensure_packages
from harness.tests.fake_frontend import ALL, Checkout
from harness.tests.helpers import eventually, is_alive

HANGS = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(place / "pids.new").write_text(json.dumps([os.getpid(), child.pid]))
(place / "pids.new").rename(place / "pids")
time.sleep(600)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path / "checkout", tmp_path / "tools")
    monkeypatch.setenv("HARNESS_NODE", str(made.tools / "node"))
    return made


def test_a_build_is_made_once_and_whole(checkout: Checkout) -> None:
    build = checkout.build()
    assert build.made
    assert checkout.asked() == ALL
    files = sorted(str(file.relative_to(build.path)) for file in build.path.rglob("*") if file.is_file())
    assert files == [
        "renderer/.next/static/page.js",
        "renderer/public/robots.txt",
        "renderer/server.js",
        "web/index.html",
    ]
    assert build.server.read_text() == "first"
    assert checkout.told[0].startswith("Installing the packages")
    assert any(told.startswith("Building the front end (once per change)") for told in checkout.told)
    # Nothing lies about in the front end but what git ignores.
    assert not (checkout.frontend / "out").exists()

    checkout.told.clear()
    again = checkout.build()
    assert (again.path, again.made) == (build.path, False)
    assert checkout.asked() == []
    assert checkout.told == []


def test_what_is_served_lies_there_compressed_too_where_that_is_smaller(checkout: Checkout) -> None:
    checkout.page("alert('the same again');" * 100)
    static = checkout.build().path / "renderer" / ".next" / "static"
    packed = static / "page.js.gz"
    assert gzip.decompress(packed.read_bytes()) == (static / "page.js").read_bytes()
    assert packed.stat().st_size < 100
    # A page is never sent as it lies there.
    assert not list((static.parents[2] / "web").rglob("*.html.gz"))


def test_a_changed_page_is_built_without_installing_anything(checkout: Checkout) -> None:
    first = checkout.build()
    checkout.asked()
    checkout.page("second")
    second = checkout.build()
    assert checkout.asked() == ["renderer", "web"]
    assert second.server.read_text() == "second"
    assert first.server.read_text() == "first"

    checkout.page("first")
    assert checkout.build() == Build(first.path, first.digest)
    assert checkout.asked() == []


@pytest.mark.parametrize(
    "name", ["src/tests/page.ts", "src/page.test.tsx", "next-env.d.ts", "node_modules/x.js", ".next/x.js", "out/x.html"]
)
def test_what_is_no_source_makes_no_new_build(checkout: Checkout, name: str) -> None:
    checkout.build()
    checkout.asked()
    file = checkout.frontend / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("changed")
    assert not checkout.build().made
    assert checkout.asked() == []


def test_another_lock_file_or_node_installs_and_builds_anew(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.build()
    checkout.asked()
    (checkout.frontend / "package-lock.json").write_text('{"name": "x"}')
    checkout.build()
    assert checkout.asked() == ALL

    other = checkout.tools / "other"
    other.write_text((checkout.tools / "node").read_text())
    other.chmod(0o700)
    (checkout.tools / "version").write_text("26.0.0")
    monkeypatch.setenv("HARNESS_NODE", str(other))
    checkout.build()
    assert checkout.asked() == ALL


def test_what_a_shell_holds_by_chance_is_in_no_build(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NEXT_PUBLIC_API", "NODE_OPTIONS", "SECRET_KEY", "NODE_ENV", "npm_config_proxy"):
        monkeypatch.setenv(name, "by chance")
    checkout.build()
    (_, npm), (_, renderer), (_, web) = checkout.asked_with()
    for environment in (renderer, web):
        assert not {"NEXT_PUBLIC_API", "NODE_OPTIONS", "SECRET_KEY", "NODE_ENV"} & set(environment)
        assert environment["NEXT_TELEMETRY_DISABLED"] == "1"
    # npm gets the settings of the network, but nothing that would leave out what building needs.
    assert npm["npm_config_proxy"] == "by chance"
    assert "NODE_ENV" not in npm


def test_of_several_starts_at_once_one_builds(checkout: Checkout) -> None:
    with ThreadPoolExecutor(4) as pool:
        builds = list(pool.map(lambda _: checkout.build(), range(4)))
    assert checkout.asked() == ALL
    assert len({build.path for build in builds}) == 1
    assert [build.made for build in builds].count(True) == 1
    assert any("waiting for it" in told for told in checkout.told)


def test_a_page_that_is_edited_during_the_build_is_built_again(checkout: Checkout) -> None:
    checkout.trouble("web", "trouble.unlink()\npathlib.Path('src/page.tsx').write_text('edited')")
    build = checkout.build()
    assert checkout.asked() == ["npm", "renderer", "web", "renderer", "web"]
    assert build.server.read_text() == "edited"
    assert checkout.kept() == [build.digest]


def test_one_that_changes_all_the_time_is_not_built_for_ever(checkout: Checkout) -> None:
    checkout.trouble("web", "pathlib.Path('src/page.tsx').write_text(str(time.time_ns()))")
    with pytest.raises(BuildFailed, match="changed during each of 3 builds"):
        checkout.build()
    assert checkout.kept() == []


@pytest.mark.parametrize("step", ALL)
def test_a_failure_is_a_sentence_with_the_last_lines_and_no_half_build(checkout: Checkout, step: str) -> None:
    checkout.trouble(step, "print('\\x1b[31mpage.tsx:3 is wrong\\x1b[0m\\n    at stack (frame.js:1)'); sys.exit(1)")
    with pytest.raises(BuildFailed, match=r"could not be (built|installed)\.$") as caught:
        checkout.build()
    assert caught.value.lines == ("page.tsx:3 is wrong",)
    (log,) = (word for word in caught.value.hint.split() if word.endswith(".log"))
    assert "page.tsx:3 is wrong" in Path(log).read_text()
    assert checkout.kept() == []

    checkout.calm(step)
    assert checkout.build().made


@pytest.mark.parametrize(
    ("says", "error", "sentence"),
    [
        ("npm error code ENOSPC", DiskFull, "The disk is full"),
        ("npm error code ECONNREFUSED", BuildFailed, "The package registry could not be reached"),
        ("npm error code EAI_AGAIN", BuildFailed, "The package registry could not be reached"),
    ],
)
def test_known_trouble_is_called_by_its_name(
    checkout: Checkout, says: str, error: type[Exception], sentence: str
) -> None:
    checkout.trouble("npm", f"sys.exit({says!r})")
    with pytest.raises(error, match=sentence):
        checkout.build()


@pytest.mark.parametrize(
    ("why", "error"), [("[Errno 28] No space left on device: 'x'", DiskFull), ("[Errno 5] I/O error", BuildFailed)]
)
def test_what_can_not_be_copied_is_no_half_build(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, why: str, error: type[Exception]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise shutil.Error([("page.js", "page.js", why)])

    with monkeypatch.context() as patch:
        patch.setattr("harness.frontend.build.shutil.copytree", fails)
        with pytest.raises(error):
            checkout.build()
    assert checkout.kept() == []
    assert checkout.build().made


def test_a_build_that_leaves_nothing_is_none(checkout: Checkout) -> None:
    checkout.trouble("renderer", "sys.exit()")
    with pytest.raises(BuildFailed, match=r"left no server\.js"):
        checkout.build()


@pytest.mark.parametrize("step", ALL)
def test_ctrl_c_ends_all_that_was_started_and_leaves_no_half_build(checkout: Checkout, step: str) -> None:
    checkout.trouble(step, HANGS)
    pids = checkout.tools / "pids"

    def interrupt() -> None:
        eventually(pids.exists, within=20, what="the tool is at work")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        checkout.build()
    thread.join()
    family = json.loads(pids.read_text())
    eventually(lambda: not any(map(is_alive, family)), within=2, what="all of it has ended")
    assert checkout.kept() == []

    checkout.calm(step)
    assert checkout.build().made


def test_a_half_build_of_one_that_was_killed_is_not_used(checkout: Checkout) -> None:
    build = checkout.build()
    build.path.rename(build.path.with_suffix(".making"))
    assert checkout.build().made
    assert checkout.kept() == [build.digest]


def test_half_installed_packages_are_installed_again(checkout: Checkout) -> None:
    checkout.trouble("npm", "os.makedirs('node_modules/half'); sys.exit(1)")
    with pytest.raises(BuildFailed):
        ensure_packages(checkout.folders, on_progress=checkout.told.append)
    checkout.calm("npm")
    checkout.asked()
    for _ in range(2):
        ensure_packages(checkout.folders, on_progress=checkout.told.append)
    assert checkout.asked() == ["npm"]


def test_the_newest_builds_are_kept_and_those_that_are_used(checkout: Checkout) -> None:
    def of(text: str) -> Build:
        checkout.page(text)
        return checkout.build()

    used, unused = of("used"), of("unused")
    holder = used.use()
    try:
        newest = [of(text) for text in ("a", "b", "c")]
        assert checkout.kept() == sorted(build.digest for build in (used, *newest))
        assert not unused.path.exists()
    finally:
        os.close(holder)
    # To be looked up again is to be used.
    of("a")
    last = [of(text) for text in ("d", "e")]
    assert checkout.kept() == sorted(build.digest for build in (newest[0], *last))


def test_force_builds_anew_unless_a_run_uses_it(checkout: Checkout) -> None:
    build = checkout.build()
    build.server.write_text("spoilt")
    holder = build.use()
    try:
        with pytest.raises(BuildFailed, match="used by a stack that runs"):
            checkout.build(force=True)
        assert build.server.read_text() == "spoilt"
        assert checkout.asked() == ALL
    finally:
        os.close(holder)
    assert checkout.build(force=True).made
    assert build.server.read_text() == "first"
    assert checkout.kept() == [build.digest]
