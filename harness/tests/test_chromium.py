"""Finding and installing a browser, with folders that stand for the PATH and programs that stand for the real ones."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from harness.browser import chromium
from harness.browser.chromium import Places, ensure_chromium, find_chromium
from harness.errors import NoBrowser
from harness.locks import holding

RUNS = "echo 'Chromium 150.0.1 built on Debian'"
STAND_IN = "echo 'Get it from the snap store' >&2; exit 1"


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def places(tmp_path: Path, *, root: bool = False, installer: str = "exit 1", **environ: str) -> Places:
    """A machine with nothing but a shell; `bin` is where programs are found."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    return Places(
        environ={"PATH": f"{tmp_path / 'bin'}", "HOME": str(tmp_path / "home"), **environ},
        root=root,
        applications=(tmp_path / "Applications" / "Chromium",),
        installer=(str(program(tmp_path / "installer", installer)),),
        cache=tmp_path / "cache",
    )


def test_a_named_one_comes_before_all_others(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "chromium", RUNS)
    named = program(tmp_path / "mine", "echo 'Google Chrome 149.0.2'")
    found = find_chromium(places(tmp_path, HARNESS_CHROMIUM=str(named)))
    assert found is not None
    assert (found.path, found.version, found.source) == (named, "149.0.2", "HARNESS_CHROMIUM")


@pytest.mark.parametrize("script", ["exit 1", "echo 'nothing to tell'", None])
def test_a_named_one_that_does_not_run_is_an_error(tmp_path: Path, script: str | None) -> None:
    program(tmp_path / "bin" / "chromium", RUNS)
    named = tmp_path / "mine"
    if script is not None:
        program(named, script)
    with pytest.raises(NoBrowser, match=r"HARNESS_CHROMIUM names .*/mine, which does not answer") as caught:
        ensure_chromium(places=places(tmp_path, HARNESS_CHROMIUM=str(named)))
    assert "unset HARNESS_CHROMIUM" in caught.value.hint


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"])
def test_the_systems_is_found_by_its_names(tmp_path: Path, name: str) -> None:
    path = program(tmp_path / "bin" / name, RUNS)
    found = ensure_chromium(places=places(tmp_path))
    assert (found.path, found.version, found.source) == (path, "150.0.1", "system")


def test_a_stand_in_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "chromium", STAND_IN)
    chrome = program(tmp_path / "bin" / "google-chrome", RUNS)
    found = find_chromium(places(tmp_path))
    assert found is not None
    assert found.path == chrome


def test_one_that_hangs_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "PROOF_WITHIN", 0.2)
    program(tmp_path / "bin" / "chromium", "while :; do :; done")
    assert find_chromium(places(tmp_path)) is None


def test_an_application_of_macos_is_found(tmp_path: Path) -> None:
    path = program(tmp_path / "Applications" / "Chromium", RUNS)
    found = find_chromium(places(tmp_path))
    assert found is not None
    assert (found.path, found.source) == (path, "system")


def test_playwrights_own_is_found_the_newest_first(tmp_path: Path) -> None:
    for build in ("chromium-1000", "chromium-1200"):
        program(tmp_path / "browsers" / build / "chrome-linux64" / "chrome", RUNS)
    found = find_chromium(places(tmp_path, PLAYWRIGHT_BROWSERS_PATH=str(tmp_path / "browsers")))
    assert found is not None
    assert found.source == "playwright"
    assert "chromium-1200" in str(found.path)


def test_root_installs_with_apt(tmp_path: Path) -> None:
    log = tmp_path / "log"
    target = tmp_path / "bin" / "chromium"
    install = f"{{ echo '#!/bin/sh'; echo \"{RUNS}\"; }} > {target}; /bin/chmod +x {target}"
    program(
        tmp_path / "bin" / "apt-get", f'echo "$DEBIAN_FRONTEND $@" >> {log}\ncase "$*" in *install*) {install};; esac'
    )
    told: list[str] = []
    found = ensure_chromium(told.append, places(tmp_path, root=True))
    assert (found.path, found.source) == (target, "apt-get")
    update, installed = log.read_text(encoding="utf-8").splitlines()
    assert update.startswith("noninteractive")
    assert update.endswith(" update")
    assert installed.endswith("install -y --no-install-recommends chromium")
    assert told == ["No Chromium here: installing one with apt-get (at most 300 s)..."]


def test_who_is_not_root_does_not_use_apt(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "apt-get", f"touch {tmp_path / 'used'}")
    with pytest.raises(NoBrowser):
        ensure_chromium(places=places(tmp_path))
    assert not (tmp_path / "used").exists()


def test_playwrights_installer_comes_last(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "apt-get", "echo 'E: Unable to locate package chromium'; exit 100")
    target = tmp_path / "home" / ".cache" / "ms-playwright" / "chromium-1" / "chrome-linux" / "chrome"
    script = (
        f"/bin/mkdir -p {target.parent}; {{ echo '#!/bin/sh'; echo \"{RUNS}\"; }} > {target}; /bin/chmod +x {target}"
    )
    told: list[str] = []
    found = ensure_chromium(told.append, places(tmp_path, root=True, installer=script))
    assert (found.path, found.source) == (target, "playwright")
    assert [sentence.split()[6] for sentence in told] == ["apt-get", "playwright"]


def test_where_nothing_works_all_is_told_and_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "PLAYWRIGHT_WITHIN", 0.2)
    program(tmp_path / "bin" / "apt-get", "echo Reading; echo 'E: Unable to locate package chromium'; exit 100")
    with pytest.raises(NoBrowser) as caught:
        ensure_chromium(places=places(tmp_path, root=True, installer="while :; do :; done"))
    assert str(caught.value) == (
        "No Chromium was found and could not be installed"
        " (apt-get: E: Unable to locate package chromium; playwright: not done within 0.2 s)."
    )
    for command in ("apt-get install chromium", "brew install --cask chromium", "HARNESS_CHROMIUM="):
        assert command in caught.value.hint
    assert caught.value.exit_code == 20


def test_an_installer_that_installs_nothing_of_use_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoBrowser, match=r"\(playwright: what it installed does not run\)"):
        ensure_chromium(places=places(tmp_path, installer="exit 0"))


def test_only_one_installs_at_a_time_and_the_other_takes_what_is_there(tmp_path: Path) -> None:
    machine = places(tmp_path, installer=f"touch {tmp_path / 'used'}")
    machine.cache.mkdir()
    found: list[chromium.Chromium] = []
    other = threading.Thread(target=lambda: found.append(ensure_chromium(places=machine)))
    with holding(machine.cache / "chromium.lock"):
        other.start()
        other.join(0.3)
        assert other.is_alive()
        path = program(tmp_path / "bin" / "chromium", RUNS)
    other.join(10)
    assert [one.path for one in found] == [path]
    assert not (tmp_path / "used").exists()
