"""Bringing a running stack's database to a named state, and waiting until changes travel again."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.errors import ManageFailed, NotFollowed, StateFailed
from harness.folders import Folders
from harness.resources import KeepState
from harness.stack import plan
from harness.stack.named import CARRIED, RECIPES, STATES, Recipe

if TYPE_CHECKING:
    from harness.stack.running import RunningStack

FOLLOWED_WITHIN = 15.0
"""Seconds in which a change has to arrive everywhere after the database was changed for another."""

_PAUSE = 0.01
_ATTEMPT = 1.0

Tell = Callable[[str], None]


def reset(stack: RunningStack, state: str, *, within: float = FOLLOWED_WITHIN, tell: Tell = lambda _: None) -> None:
    """Put the stack's database into a named state; what it holds is lost, but for the sessions of those who stay.

    Returns when every backend has received a change made afterwards, where the stack has backends and a relay.

    Args:
        within: seconds that the change may take.
        tell: told what takes long.

    Raises:
        StateFailed: there is no such state, or Postgres refused.
        ManageFailed: the state could not be made.
        NotFollowed: the database is in the state, but the change has not arrived everywhere.
    """
    if state not in RECIPES:
        raise StateFailed(f"There is no state {state!r}.", hint=f"There are: {', '.join(STATES)}.")
    # A database driver is not needed to look at a stack.
    from harness.stack import states

    url = stack.direct["DATABASE_URL"]
    fingerprint = plan.code_fingerprint(Folders.of_checkout().root)
    with states.alone(url):
        kept = KeepState(url=url, template=state, fingerprint=fingerprint)
        _make_sure(stack, kept, tell)
        states.restore(kept, carried=CARRIED)
        # Postgres removes a database only when all its writing is done, which may take seconds; nobody need wait.
        threading.Thread(target=_discard_old, args=(kept,), name="reset: the old database").start()
        # Another reset meanwhile would take away what is waited for.
        _until_followed(stack, kept, within)


def _discard_old(kept: KeepState) -> None:
    from harness.stack import states

    # A server that ends meanwhile keeps it until the next reset, or the next start.
    with suppress(StateFailed):
        states.discard_old(kept)


def _make_sure(stack: RunningStack, kept: KeepState, tell: Tell) -> None:
    """Make the template where it is missing or of other code, and before it the one that it starts from."""
    from harness.stack import states

    if states.is_current(kept):
        return
    recipe = RECIPES[kept.template]
    if recipe.base is not None:
        _make_sure(stack, KeepState(url=kept.url, template=recipe.base, fingerprint=kept.fingerprint), tell)
    begun = time.monotonic()
    tell(f"Making the state {kept.template}, once for this code.")
    states.rebuild(kept, lambda url: _follow(stack, recipe, url), base=recipe.base)
    tell(f"Made the state {kept.template}: {time.monotonic() - begun:.1f} s.")


def _follow(stack: RunningStack, recipe: Recipe, url: str) -> None:
    for command in recipe.commands:
        with tempfile.TemporaryDirectory() as folder:
            # Its users are those of the first preparation; the file of this one is not wanted.
            users = ("--users", f"{folder}/{plan.USERS_FILE}") if recipe.users_file else ()
            done = stack.manage(*command, *users, timeout=recipe.within, environment={"DATABASE_URL": url})
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            words = " ".join(command)
            raise ManageFailed(
                f"manage.py {words} failed with code {done.returncode}: {lines[-1] if lines else 'no output'}",
                hint=f"Run it yourself with: harness manage {words}",
            )


@dataclass(frozen=True)
class _Position:
    epoch: str
    seq: int


def _until_followed(stack: RunningStack, kept: KeepState, within: float) -> None:
    """Make a change that harms nobody and wait until every backend's hub has it."""
    snapshot = stack.snapshot()
    kinds = {status.name: status.name.partition("-")[0] for status in snapshot.resources}
    backends = {
        status.name: status.url for status in snapshot.resources if kinds[status.name] == "backend" and status.url
    }
    if not backends or "relay" not in kinds.values():
        return
    deadline = time.monotonic() + within
    wanted = _told(kept.url, deadline)
    if wanted is None:
        raise NotFollowed(
            f"The database is {kept.template}, but no relay has told a change of it within {within:g} s.",
            hint="Look at it with: harness logs relay",
            resources=tuple(name for name, kind in kinds.items() if kind == "relay"),
        )
    behind = _behind(backends, stack.run_id, wanted, deadline)
    if behind:
        verb = "does" if len(behind) == 1 else "do"
        raise NotFollowed(
            f"The database is {kept.template}, but {' and '.join(behind)} {verb} not follow it after {within:g} s.",
            hint=f"Look at it with: harness logs {behind[0]}. Once started again it follows.",
            resources=behind,
        )


def _told(url: str, deadline: float) -> _Position | None:
    """Where the change came to lie in the log; None if no relay took it in time."""
    from harness.stack import states

    with states.connected(url) as connection:
        row: Any = connection.execute("SELECT live_probe()").fetchone()
        number = row[0]
        while time.monotonic() < deadline:
            found: Any = connection.execute("SELECT epoch, seq FROM live_probed(%s)", [number]).fetchone()
            if found:
                return _Position(*found)
            time.sleep(_PAUSE)
    return None


def _behind(backends: Mapping[str, str], run: str, wanted: _Position, deadline: float) -> tuple[str, ...]:
    """Those whose hub has not reached the position in time. A frozen one keeps nobody else from being asked."""
    with ThreadPoolExecutor(len(backends)) as pool:
        reached = pool.map(lambda url: _reaches(url, run, wanted, deadline), backends.values())
        return tuple(name for name, ok in zip(backends, reached, strict=True) if not ok)


def _reaches(url: str, run: str, wanted: _Position, deadline: float) -> bool:
    while (left := deadline - time.monotonic()) > 0:
        live = _live(url, run, within=min(left, _ATTEMPT))
        if live.get("epoch") == wanted.epoch and live.get("seq", 0) >= wanted.seq:
            return True
        time.sleep(min(_PAUSE, max(0.0, deadline - time.monotonic())))
    return False


def _live(url: str, run: str, *, within: float) -> Mapping[str, Any]:
    """What a backend says of its hub; nothing if it does not answer, or is not this run's."""
    parts = urlsplit(url)
    # The plain client of the standard library: no proxies and no redirects.
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=within)
    try:
        connection.request("GET", "/healthz")
        answer = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    ours = isinstance(answer, dict) and answer.get("run") == run and isinstance(answer.get("live"), dict)
    return answer["live"] if ours else {}
