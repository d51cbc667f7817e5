"""The handle on a running stack: look at it, break it, mend it, end it."""

from __future__ import annotations

import json
import os
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness import locks
from harness.errors import NotReady, NotRunning, SupervisorGone, SupervisorSilent
from harness.folders import Folders
from harness.stack import plan
from harness.stack.control import Client
from harness.stack.environment import process_environment
from harness.stack.reset import reset
from harness.stack.status import ResourceStatus, Snapshot
from harness.stack.supervisor import STATE_FILE
from harness.stack.sweep import LOCK

_SHUTDOWN = 40.0
_START = "Start one with: harness up"


@dataclass(frozen=True)
class User:
    """A seeded person. ``role`` is ``user`` or ``admin``."""

    name: str
    password: str
    role: str


@dataclass(frozen=True)
class Urls:
    """Addresses of the first backend; ``app`` has no slash at its end, ``docs`` is None until served."""

    app: str
    admin: str
    api: str
    live: str
    docs: str | None

    @classmethod
    def of_backend(cls, base: str) -> Urls:
        """The addresses below ``base``, such as http://127.0.0.1:8000."""
        return cls(
            app=base,
            admin=f"{base}/admin/",
            api=f"{base}/api/",
            live=f"{base.replace('http', 'ws', 1)}/live",
            docs=None,
        )


class RunningStack:
    """A stack that some supervisor runs. Methods are thread-safe.

    ``environment`` is what its processes have, ``backends`` are the origins for clients. ``direct`` holds the
    DATABASE_URL and REDIS_URL of the services themselves, for looking and mending while the network is broken.
    ``proxies`` are the addresses (``127.0.0.1:20123``) of the proxies by resource, none if it has none.

    Closing ends the stack if this process started it and did not detach it; otherwise it only lets go.
    """

    def __init__(
        self,
        *,
        run_id: str,
        folder: Path,
        client: Client,
        facts: Mapping[str, Any],
        supervisor: subprocess.Popen[bytes] | None,
    ) -> None:
        self.run_id = run_id
        self.folder = folder
        self.services: tuple[str, ...] = tuple(facts["services"])
        self.environment: dict[str, str] = dict(facts["environment"])
        self.direct: dict[str, str] = dict(facts["direct"])
        self.proxies: dict[str, str] = dict(facts["proxies"])
        self.backends: tuple[str, ...] = tuple(facts["backends"])
        self._facts = facts
        self._client = client
        self._supervisor = supervisor
        self._owned = supervisor is not None

    @property
    def sockets(self) -> Path:
        """The folder of the run's own sockets, which only its owner can enter."""
        return self._client.path.parent

    @property
    def owned(self) -> bool:
        """Whether it was started here and ends with this process, so that nobody else counts on its data."""
        return self._owned

    @property
    def urls(self) -> Urls:
        """Addresses for people and clients; raises NotRunning for a stack of services only."""
        if not self.backends:
            raise NotRunning("This stack has no backend.", hint="Start one with all resources.")
        return Urls.of_backend(self.backends[0])

    @property
    def users(self) -> tuple[User, ...]:
        """The seeded people with their passwords; empty for a stack of services only."""
        file = self.folder / plan.USERS_FILE
        if not file.exists():
            return ()
        return tuple(User(**entry) for entry in json.loads(file.read_text(encoding="utf-8")))

    def record(self) -> dict[str, Any]:
        """What ``harness up --json`` prints; holds the passwords of the seeded people."""
        return {
            "run": self.run_id,
            "urls": asdict(self.urls) if self.backends else None,
            "users": [asdict(user) for user in self.users],
            "resources": [status.record() for status in self.resources()],
        }

    def snapshot(self) -> Snapshot:
        """The whole run as it is now."""
        return Snapshot.from_json(self._client.ask("status")["snapshot"])

    def watch(self) -> Iterator[Snapshot]:
        """The run now, and again whenever something has changed, until it ends."""
        return self._client.watch()

    def resources(self) -> tuple[ResourceStatus, ...]:
        """Every resource as it is now."""
        return self.snapshot().resources

    def resource(self, name: str) -> ResourceStatus:
        """One resource as it is now; raises NotRunning if there is none of that name."""
        snapshot = self.snapshot()
        found = snapshot.resource(name)
        if found is None:
            known = ", ".join(status.name for status in snapshot.resources)
            raise NotRunning(f"This run has no resource {name!r}.", hint=f"It has: {known}.")
        return found

    def kill(self, name: str, signal: int = signals.SIGKILL) -> None:
        """Send a signal. KILL, STOP and CONT reach the resource's whole tree; KILL and STOP have worked on return."""
        self._client.ask("kill", name=name, signal=int(signal))

    def start(self, name: str, *, within: float = 120.0) -> None:
        """Spawn a resource that has ended again and wait until it is ready; raises ResourceFailed."""
        self._client.ask("start", name=name, within=within)

    def stop_resource(self, name: str, *, within: float = 30.0) -> None:
        """Ask a resource to end, kill it if it takes too long; returns when it is gone."""
        self._client.ask("stop", name=name, within=within)

    def restart(self, name: str) -> None:
        """End a resource if it lives, start it again, wait until it is ready; raises ResourceFailed."""
        self.stop_resource(name)
        self.start(name)

    def wait_ready(self, name: str, within: float = 30.0) -> None:
        """Return once the resource is ready (a task: done); raises NotReady after ``within`` seconds."""
        deadline = time.monotonic() + within
        try:
            for snapshot in self._client.watch(within=within):
                status = snapshot.resource(name)
                if status and status.state in ("ready", "done"):
                    return
                if time.monotonic() > deadline:
                    break
        except TimeoutError:
            pass
        state = self.resource(name).label
        raise NotReady(f"{name} is {state}, not ready, after {within:g} s.", resource=name)

    def manage(
        self, *args: str, timeout: float | None = 120.0, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` with the stack's environment and ``environment`` on top; ``timeout`` in seconds."""
        return subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=Folders.of_checkout().root,
            env=process_environment({**self.environment, **(environment or {})}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def reset(self, state: str = plan.SEEDED, *, tell: Callable[[str], None] = lambda _: None) -> None:
        """Bring the database to a named state (``empty``, ``seeded``, ``busy``); what it holds now is lost.

        Other processes lose their connections and reconnect; sessions of people who exist in the new state go on.
        Returns when a change made afterwards has arrived at every backend. ``tell`` hears what takes long. Raises
        StateFailed, NotFollowed, ManageFailed.
        """
        reset(self, state, tell=tell)

    def detach(self) -> None:
        """Let the stack live on without this process."""
        self._client.ask("detach")
        self._owned = False
        self._let_go()

    def shutdown(self, *, reason: str = "was asked to") -> None:
        """End the stack, whoever started it; returns when nothing of it is left."""
        shut_down(self.folder, reason=reason)
        self._wait_for_supervisor()

    def close(self) -> None:
        """End the stack if this process started it."""
        if not self._owned or self._supervisor is None:
            return
        if self._supervisor.poll() is None:
            # One that cannot be asked is ending, or ends when the pipe does.
            with suppress(SupervisorGone, SupervisorSilent):
                self._client.ask("shutdown")
        self._wait_for_supervisor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait_for_supervisor(self) -> None:
        supervisor = self._supervisor
        if supervisor is not None:
            try:
                supervisor.wait(_SHUTDOWN)
            except subprocess.TimeoutExpired:
                supervisor.kill()
                supervisor.wait()
        self._owned = False
        self._let_go()

    def _let_go(self) -> None:
        if self._supervisor is not None:
            for stream in (self._supervisor.stdin, self._supervisor.stdout):
                if stream is not None:
                    stream.close()


def attach(run_id: str | None = None, *, folders: Folders | None = None) -> RunningStack:
    """The stack of ``run_id``, by default the one that ``harness up`` runs.

    Raises NotRunning, SupervisorSilent.
    """
    folders = folders or Folders.of_checkout()
    if run_id is None:
        run_id = running_up(folders)
    if run_id is None:
        raise _nothing_up(live_runs(folders))
    try:
        client = _client_of(folders.runs / run_id)
        facts = client.ask("facts")["facts"]
    except (FileNotFoundError, ValueError, SupervisorGone):
        raise NotRunning(f"No run {run_id} is up in this checkout.", hint=_START) from None
    return RunningStack(run_id=run_id, folder=folders.runs / run_id, client=client, facts=facts, supervisor=None)


def current_run(folders: Folders) -> str | None:
    """The run to look at: the one that is up, else the only other one, such as a demo; None without any.

    Raises NotRunning if there are several and none of them is up.
    """
    up = running_up(folders)
    if up is not None:
        return up
    live = live_runs(folders)
    if len(live) > 1:
        raise NotRunning(
            f"No stack is up in this checkout, but there are {len(live)} other runs: {', '.join(live)}.",
            hint="Say which one with: --run ID",
        )
    return live[0] if live else None


def running_up(folders: Folders) -> str | None:
    """The id of the run that ``harness up`` runs in this checkout, if there is one."""
    if not locks.is_held(folders.up_lock):
        return None
    return folders.up_lock.read_text(encoding="utf-8").strip() or None


def live_runs(folders: Folders) -> list[str]:
    """The ids of all runs of this checkout whose supervisor lives, oldest first."""
    return sorted(lock.parent.name for lock in folders.runs.glob(f"*/{LOCK}") if locks.is_held(lock))


def shut_down(folder: Path, *, reason: str) -> None:
    """End the run in ``folder``, or wait until it has ended if it is ending already."""
    try:
        # The supervisor is the last to end, and holds this lock until then.
        lock = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        # One that hears nobody any more is ending.
        with suppress(FileNotFoundError, ValueError, SupervisorGone):
            _client_of(folder).ask("shutdown", reason=reason)
        if not locks.wait_until_free(lock, within=_SHUTDOWN):
            raise SupervisorSilent(
                f"Run {folder.name} has not ended within {_SHUTDOWN:g} s.",
                hint=f"Kill the processes that have HARNESS_RUN={folder.name} in their environment.",
            )
    finally:
        os.close(lock)


def run_to_end(run_id: str | None, *, folders: Folders) -> str:
    """The run that ``harness down`` means: the one named, else the one that is up; raises NotRunning."""
    live = live_runs(folders)
    if run_id is None:
        run_id = running_up(folders)
        if run_id is None:
            raise _nothing_up(live)
    if run_id not in live:
        raise NotRunning(f"No run {run_id} is up in this checkout.", hint=_START)
    return run_id


def _client_of(folder: Path) -> Client:
    state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    return Client(Path(state["control"]))


def _nothing_up(others: list[str]) -> NotRunning:
    if not others:
        return NotRunning("No stack is up in this checkout.", hint=_START)
    return NotRunning(
        f"No stack is up in this checkout, only {', '.join(others)} (a demo, or tests).",
        hint="If you mean that one, say so with: --run ID",
    )
