"""``python -m harness.stack.supervisor``: the one parent of everything in a run.

The first line of standard input is the plan. The pipe's end means that the harness is gone: everything ends
within seconds, unless the run was detached. The first line of standard output is the path of the control
socket, or a failure as a JSON object if there is no place for one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, NotRunning
from harness.folders import place_trouble, private_folder, write_private
from harness.resources import Resource
from harness.stack import sweep
from harness.stack.child import Child, StartFailed
from harness.stack.control import Server, as_error
from harness.stack.status import Failure, Phase, Snapshot

STATE_FILE = "state.json"
_GRACE_WHEN_ALONE = 1.0


@dataclass(frozen=True)
class Plan:
    """What to run. ``facts`` is for the harness: handed out by the control socket, never written to disk.

    ``public`` goes into the state file. ``remove`` are folders to remove at the end; ``locks`` descriptors
    to hold until then.
    """

    run: str
    folder: str
    resources: tuple[Resource, ...]
    facts: dict[str, Any]
    public: dict[str, Any]
    remove: tuple[str, ...]
    places: tuple[str, ...]
    locks: tuple[int, ...]

    def to_line(self) -> bytes:
        """One line of JSON."""
        fields = {**dataclasses.asdict(self), "resources": [record.to_json() for record in self.resources]}
        return json.dumps(fields).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Plan:
        """The inverse of ``to_line``."""
        fields = json.loads(line)
        fields["resources"] = tuple(map(Resource.from_json, fields["resources"]))
        for name in ("remove", "places", "locks"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


class Supervisor:
    """Runs one plan to its end."""

    def __init__(self, plan: Plan, sockets: Path) -> None:
        self._plan = plan
        self._sockets = sockets
        self._folder = Path(plan.folder)
        self._phase: Phase = "starting"
        self._reason = ""
        self._failure: Failure | None = None
        self._detached = False
        self._end = asyncio.Event()
        self._grace: float | None = None
        self._dirty = asyncio.Event()
        self._control = Server(self._handle, self.snapshot)
        self._tasks: set[asyncio.Task[Any]] = set()
        logs = self._folder / "logs"
        self._children = {
            record.name: Child(record, run=plan.run, logs=logs, sockets=sockets, changed=self._dirty.set)
            for record in plan.resources
        }

    def snapshot(self) -> Snapshot:
        """The run as it is now."""
        return Snapshot(
            run=self._plan.run,
            phase=self._phase,
            supervisor=os.getpid(),
            detached=self._detached,
            resources=tuple(child.status() for child in self._children.values()),
            failure=self._failure,
            reason=self._reason,
        )

    async def run(self) -> None:
        """Start everything, wait for the end, end everything."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._finish, f"was asked to by {number.name}")
        parent = os.getppid()
        self._spawn(self._watch_harness(parent))
        loop.add_reader(0, self._hear)
        path = self._sockets / "control"
        await self._control.open(path)
        publisher = asyncio.create_task(self._publish())
        self._dirty.set()
        self._write_state()
        sys.stdout.write(f"{path}\n")
        sys.stdout.flush()
        starting = asyncio.create_task(self._start_all())
        starting.add_done_callback(self._started)
        try:
            await self._end.wait()
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await self._stop_all()
            publisher.cancel()
            for folder in self._plan.remove:
                shutil.rmtree(folder, ignore_errors=True)
            self._write_state()
            await self._control.close()

    # -- start and stop --------------------------------------------------------------------------------

    async def _start_all(self) -> None:
        tasks: dict[str, asyncio.Task[None]] = {}

        async def start(child: Child) -> None:
            # Those that are not part of this run (services only) are not waited for.
            needed = [tasks[name] for name in child.resource.depends_on if name in tasks]
            if needed:
                await asyncio.gather(*needed)
            await child.start()

        async with asyncio.TaskGroup() as group:
            for name, child in self._children.items():
                tasks[name] = group.create_task(self._or_fail(start(child)))
        if self._phase == "starting":
            self._phase = "ready"
            self._dirty.set()

    def _started(self, starting: asyncio.Task[None]) -> None:
        if starting.cancelled() or starting.exception() is None:
            return
        traceback.print_exception(starting.exception())
        log = self._folder / "logs" / "supervisor.log"
        sentence = "The supervisor failed, which is a fault of the harness."
        self._failure = Failure("HarnessError", "", sentence, f"See {log}", ())
        self._phase = "failed"
        self._finish("the supervisor failed")

    async def _or_fail(self, work: Any) -> None:
        try:
            await work
        except StartFailed as failed:
            if self._failure is None:
                self._failure = failed.failure
                self._phase = "failed"
                self._finish("a resource failed")
            # Nobody who depends on it goes on.
            raise asyncio.CancelledError from None

    def _finish(self, reason: str, *, grace: float | None = None) -> None:
        if not self._end.is_set():
            self._reason = reason
            if self._phase != "failed":
                self._phase = "ending"
            self._end.set()
            self._dirty.set()
        if grace is not None:
            self._grace = grace
            # Those that are being stopped patiently already get the short grace from now on.
            asyncio.get_running_loop().call_later(grace, self._kill_all)

    async def _stop_all(self) -> None:
        # Services last, and the way to them: the others have something to finish with them.
        services = [child for child in self._children.values() if child.resource.kind in ("proxy", "service")]
        others = [child for child in self._children.values() if child.resource.kind not in ("proxy", "service")]
        await asyncio.gather(*(child.stop(grace=self._grace) for child in others))
        await asyncio.gather(*(child.stop(grace=self._grace) for child in services))

    def _kill_all(self) -> None:
        for child in self._children.values():
            child.signal(signal.SIGKILL)

    # -- the harness -----------------------------------------------------------------------------------

    def _hear(self) -> None:
        if os.read(0, 4096):
            return
        asyncio.get_running_loop().remove_reader(0)
        self._harness_gone()

    async def _watch_harness(self, parent: int) -> None:
        # A process that the harness forked may keep the pipe open after the harness's own end.
        while os.getppid() == parent:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.5)
        self._harness_gone()

    def _harness_gone(self) -> None:
        if not self._detached:
            self._finish("the harness is gone", grace=_GRACE_WHEN_ALONE)

    # -- control ---------------------------------------------------------------------------------------

    async def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        match request.get("op"):
            case "status":
                return {"snapshot": self.snapshot().to_json()}
            case "facts":
                return {"facts": self._plan.facts}
            case "detach":
                self._detached = True
                self._dirty.set()
            case "shutdown":
                self._finish(str(request.get("reason", "was asked to")))
            case "kill":
                await self._child(request).deliver(int(request["signal"]))
            case "stop":
                await self._child(request).stop()
            case "start":
                try:
                    await self._child(request).start()
                except StartFailed as failed:
                    raise as_error(failed.failure) from None
            case other:
                raise HarnessError(f"The supervisor does not know {other!r}.")
        return {}

    def _child(self, request: dict[str, Any]) -> Child:
        name = str(request.get("name"))
        child = self._children.get(name)
        if child is None:
            known = ", ".join(self._children)
            raise NotRunning(f"This run has no resource {name!r}.", hint=f"It has: {known}.")
        if not child.resource.command:
            raise NotRunning(
                f"{name} runs elsewhere: the harness neither starts nor stops it.",
                hint="Use --services embedded for servers of the harness's own.",
            )
        return child

    async def _publish(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self._write_state()
            await self._control.publish()

    def _write_state(self) -> None:
        state = {
            **self._plan.public,
            "control": str(self._sockets / "control"),
            "snapshot": self.snapshot().to_json(),
        }
        try:
            write_private(self._folder / STATE_FILE, json.dumps(state, indent=1))
        except OSError as error:
            # Without room on the disk the run itself may well go on; the socket still tells its state.
            sys.stderr.write(f"{STATE_FILE} could not be written: {error}\n")

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)


def _first_line() -> bytes:
    found = b""
    while not found.endswith(b"\n"):
        piece = os.read(0, 65536)
        if not piece:
            return b""
        found += piece
    return found


def main() -> None:
    """Entry point."""
    # A Ctrl-C before the plan is there: the pipe ends as well.
    line = _first_line()
    if not line:
        return
    plan = Plan.from_line(line)
    for descriptor in plan.locks:
        os.set_inheritable(descriptor, False)
    try:
        sockets = Path(tempfile.mkdtemp(prefix=f"tims-stack-{plan.run}-", dir=sweep.SOCKETS))
        private_folder(Path(plan.folder) / "logs")
    except OSError as error:
        trouble = place_trouble(error)
        if trouble is None:
            raise
        failure = Failure(type(trouble).__name__, "", str(trouble), trouble.hint, ())
        sys.stdout.write(json.dumps(dataclasses.asdict(failure)) + "\n")
        return
    watchdog = subprocess.Popen(
        [sys.executable, "-m", "harness.stack.watchdog", plan.folder, *plan.places],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert watchdog.stdin is not None
    try:
        asyncio.run(Supervisor(plan, sockets).run())
        # What left its process group is still found by the run's id.
        sweep.end_run(plan.run, spare=frozenset({os.getpid(), watchdog.pid}))
        # Says that there is nothing to sweep.
        (Path(plan.folder) / sweep.LOCK).unlink(missing_ok=True)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    watchdog.stdin.write(b"bye\n")
    watchdog.stdin.close()
    watchdog.wait()


if __name__ == "__main__":
    main()
