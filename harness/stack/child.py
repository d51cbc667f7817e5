"""The life of one resource inside the supervisor: spawn, wait until ready, signal, stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness.containers import engine
from harness.errors import HarnessError
from harness.folders import is_full
from harness.resources import Exit, HttpReady, KeepState, Notify, PageReady, PostgresLogin, RedisPing, Resource
from harness.stack import readiness, sweep
from harness.stack.environment import bare_environment, process_environment
from harness.stack.explain import explain, tail
from harness.stack.status import Failure, ResourceStatus, State

_POLL_FIRST, _POLL_MOST = 0.02, 0.25
# One that waits in the kernel stops when it comes back; nobody waits longer than this for it.
_FREEZES_WITHIN = 2.0


class StartFailed(Exception):
    """A resource did not become ready."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


class Child:
    """A resource and its process, if it has one. ``changed`` is called after every change of state."""

    def __init__(self, resource: Resource, *, run: str, logs: Path, sockets: Path, changed: Callable[[], None]) -> None:
        self.resource = resource
        self.log = logs / f"{resource.name}.log"
        self._run = run
        self._sockets = sockets
        self._lives = 0
        self._log_from = 0
        self._changed = changed
        self._state: State = "waiting"
        self._process: asyncio.subprocess.Process | None = None
        self._gone = asyncio.Event()
        self._code: int | None = None
        self._seconds: float | None = None
        self._watch: asyncio.Task[None] | None = None
        self._last_reason = ""
        self._notify: readiness.NotifySocket | None = None
        self._turn = asyncio.Lock()

    @property
    def runs(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and not self._gone.is_set()

    @property
    def pid(self) -> int | None:
        """The process id while it lives."""
        return self._process.pid if self._process and self.runs else None

    def status(self) -> ResourceStatus:
        """Its state now."""
        return ResourceStatus(
            name=self.resource.name,
            pid=self.pid,
            state=self._state,
            url=self.resource.url,
            log=str(self.log),
            code=self._code,
            seconds=self._seconds,
        )

    async def start(self) -> None:
        """Spawn it unless it runs, and wait until it is ready; raises StartFailed."""
        async with self._turn:
            if self.runs and self._state == "ready":
                return
            await self._start()

    async def _start(self) -> None:
        begun = time.monotonic()
        self._code = self._seconds = None
        self._set("starting")
        try:
            keep = self.resource.keep_state
            fresh = keep is not None and await asyncio.to_thread(_tidy_and_look, keep)
            if self.resource.command and not self.runs:
                await self._spawn()
            try:
                async with asyncio.timeout(self.resource.within):
                    reason = await self._until_ready()
            except TimeoutError:
                reason = f"was not ready within {self.resource.within:g} s"
                raise StartFailed(self._failure("NotReady", reason)) from None
            if reason:
                raise StartFailed(self._failure("ResourceFailed", reason))
            if keep and fresh:
                await asyncio.to_thread(_keep, keep)
        except (OSError, HarnessError) as error:
            kind = "DiskFull" if isinstance(error, OSError) and is_full(error) else "ResourceFailed"
            raise StartFailed(self._failure(kind, f"could not be started: {error}")) from error
        self._seconds = time.monotonic() - begun
        self._set("done" if isinstance(self.resource.readiness, Exit) else "ready")

    async def _spawn(self) -> None:
        base = process_environment if self.resource.inherits else bare_environment
        environment = base({**self.resource.environment, sweep.VARIABLE: self._run})
        environment.pop("NOTIFY_SOCKET", None)
        if isinstance(self.resource.readiness, Notify):
            # A new socket for each life, open as long as that lasts: a child may say more than once that
            # it is ready, and what a former one had said does not count.
            if self._notify:
                self._notify.close()
            self._lives += 1
            path = self._sockets / f"{self.resource.name}.{self._lives}"
            self._notify = readiness.NotifySocket(self._run)
            await self._notify.open(path)
            environment["NOTIFY_SOCKET"] = str(path)
        if self.resource.container and self._process:
            # The container may have outlived the process that stood for it, and would answer in the new one's place.
            await asyncio.to_thread(engine.remove, self.resource.container)
        output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # What a former life wrote says nothing about this one.
        self._log_from = os.fstat(output).st_size
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.resource.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self.resource.directory,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._gone = asyncio.Event()
        self._watch = asyncio.create_task(self._until_gone(self._process, self._gone))
        self._changed()

    async def _until_gone(self, process: asyncio.subprocess.Process, gone: asyncio.Event) -> None:
        code = await process.wait()
        # What it leaves behind in its group would hold its port and its log.
        _signal_group(process.pid, signal.SIGKILL)
        self._code = code
        gone.set()
        if self._state == "stopping":
            self._set("stopped")
        elif self._state == "ready":
            self._set("exited")
        else:
            self._changed()

    async def _until_ready(self) -> str | None:
        """None once ready; why not if it ended before."""
        proof = self.resource.readiness
        if isinstance(proof, Exit):
            await self._gone.wait()
            return None if self._code == 0 else self._ended()
        if self._notify:
            waits = [asyncio.ensure_future(event.wait()) for event in (self._notify.ready, self._gone)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            return self._ended() if self._gone.is_set() else None
        pause = _POLL_FIRST
        while True:
            reason = await self._probe()
            if self.resource.command and self._gone.is_set():
                return self._ended()
            if reason is None:
                return None
            self._last_reason = reason
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, _POLL_MOST)

    async def _probe(self) -> str | None:
        proof = self.resource.readiness
        if isinstance(proof, PostgresLogin):
            return await readiness.postgres_answers(proof)
        if isinstance(proof, RedisPing):
            return await readiness.redis_answers(proof, self.pid)
        if isinstance(proof, PageReady):
            return await readiness.page_answers(proof, self._run)
        assert isinstance(proof, HttpReady)
        return await readiness.http_answers(proof, self._run)

    async def stop(self, *, grace: float | None = None) -> None:
        """Ask it to end, kill it after ``grace`` seconds (default: its own); returns once it is gone."""
        if not self.runs or self._process is None:
            return
        if self._state != "failed":
            # A stop during a start wins: the start sees the process gone.
            self._set("stopping")
        allowed = self.resource.grace if grace is None else min(grace, self.resource.grace)
        _signal_one(self._process.pid, self.resource.stop_signal)
        # One that is frozen hears nothing.
        _signal_group(self._process.pid, signal.SIGCONT)
        try:
            async with asyncio.timeout(allowed):
                await self._gone.wait()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self._gone.wait()

    def signal(self, number: int) -> None:
        """Send a signal. Those that a process cannot refuse reach its whole tree, others only itself."""
        if self._process is None or not self.runs:
            return
        if number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            family = sweep.tree([self._process.pid])
            _signal_group(self._process.pid, number)
            for process in family:
                sweep.send(process, number)
        else:
            _signal_one(self._process.pid, number)

    async def deliver(self, number: int) -> None:
        """Send a signal as ``signal`` does, to a container through its engine; KILL and STOP have worked on return."""
        container = self.resource.container
        if container and self.runs:
            await asyncio.to_thread(engine.signal, container, number)
        else:
            self.signal(number)
        if number == signal.SIGKILL and self._process is not None:
            await self._gone.wait()
        if number == signal.SIGSTOP and not container and self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FREEZES_WITHIN):
                    while not sweep.is_frozen(self._process.pid):  # noqa: ASYNC110 - descendants tell nobody
                        await asyncio.sleep(_POLL_FIRST)

    def _ended(self) -> str:
        return f"ended with code {self._code} before it was ready"

    def _failure(self, error: str, reason: str) -> Failure:
        self._set("failed")
        if error == "NotReady" and self._last_reason:
            reason = f"{reason} ({self._last_reason})"
        lines = tail(self.log, since=self._log_from)
        return explain(self.resource, error, reason, code=self._code, lines=lines, run=self._run)

    def _set(self, state: State) -> None:
        self._state = state
        self._changed()


def _tidy_and_look(state: KeepState) -> bool:
    # The database driver is imported while the servers start, not before.
    from harness.stack import states

    states.tidy(state)
    return states.is_empty(state.url)


def _keep(state: KeepState) -> None:
    from harness.stack import states

    states.keep(state)


def _signal_one(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
