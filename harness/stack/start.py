"""Starting a stack: choose services and ports, hand the plan to a supervisor, wait until all is ready."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness import locks
from harness.errors import AlreadyRunning, HarnessError, SupervisorGone, SupervisorSilent
from harness.folders import Folders, place_trouble, private_folder
from harness.ports import app_port, free_port
from harness.resources import Resource
from harness.services.account import throwaway_places
from harness.services.choose import Choice, choose
from harness.services.containers import ContainersSource
from harness.services.credentials import Credentials
from harness.services.embedded import EmbeddedSource
from harness.services.url import UrlSource
from harness.signals import held_back
from harness.stack import plan, sweep
from harness.stack.control import Client, as_error
from harness.stack.environment import process_environment
from harness.stack.pages import prepare_pages
from harness.stack.proxies import proxies_for
from harness.stack.running import RunningStack, running_up
from harness.stack.status import Failure, Snapshot
from harness.stack.supervisor import Plan

_SUPERVISOR_START = 60.0
"""Seconds within which a supervisor has to say its first line, which takes one on an idle machine."""


@dataclass(frozen=True)
class StackOptions:
    """What to start.

    ``scale`` counts per kind (``{"backend": 2}``). ``durable`` keeps the data in the checkout instead of
    throwing it away. ``resources`` names kinds, None means all. ``port`` is the first backend's; ``up`` makes
    it the one stack of this checkout that ``attach()`` finds. ``extra`` are resources beside the stack's own.
    ``develop`` serves the code as it is being edited: the front end from its development server, without a build.
    ``proxies`` puts one in front of every server, which faults of the network need; ``port`` is its then.
    """

    services: Choice = "auto"
    scale: Mapping[str, int] = field(default_factory=dict)
    durable: bool = False
    resources: frozenset[str] | None = None
    port: int | None = None
    up: bool = False
    extra: tuple[Resource, ...] = ()
    develop: bool = False
    proxies: bool = False


@dataclass(frozen=True)
class Progress:
    """What there is to tell: a sentence, a warning that nobody may miss, or a new snapshot of the run."""

    sentence: str = ""
    warning: str = ""
    snapshot: Snapshot | None = None


Listener = Callable[[Progress], None]


def start_stack(
    options: StackOptions | None = None,
    *,
    on_progress: Listener | None = None,
    folders: Folders | None = None,
) -> RunningStack:
    """Start a stack and return it ready; use it as a context manager, which ends it.

    If this process is interrupted or killed meanwhile, everything ends. Raises AlreadyRunning, PortTaken,
    SourceUnusable, DataUnusable, DiskFull, PlaceUnusable, NodeMissing, BuildFailed, ManageFailed,
    ServiceDidNotStart, NotReady, ResourceFailed; nothing is left.
    """
    options = options or StackOptions()
    folders = folders or Folders.of_checkout()
    tell: Listener = on_progress or (lambda _: None)
    try:
        return _start(options, folders, tell)
    except OSError as error:
        trouble = place_trouble(error, writing_below=folders.runs)
        if trouble is None:
            raise
        raise trouble from error


def _start(options: StackOptions, folders: Folders, tell: Listener) -> RunningStack:
    private_folder(folders.runs)
    places = throwaway_places(folders.root)
    held: list[int] = []
    try:
        run = new_run_id()
        with locks.holding(folders.start_lock):
            if options.up:
                held.append(_lock_up(folders, run))
            for killed in sweep.sweep(folders.runs, places):
                tell(Progress(sentence=f"Removed what run {killed} had left when it was killed."))
            folder = private_folder(folders.runs / run)
            lock = locks.take(folder / sweep.LOCK)
            assert lock is not None, "the run was made just now"
            held.append(lock)
        made = _plan(options, folders, run, folder, places, held, tell)
        return _run(made, held, tell)
    finally:
        _let_go(held)


def _run(made: Plan, held: list[int], tell: Listener) -> RunningStack:
    """Hand the plan and the locks to a supervisor and wait until all is ready."""
    supervisor: subprocess.Popen[bytes] | None = None
    try:
        # One that is interrupted in the midst of it would be nobody's.
        with held_back():
            supervisor = _spawn(made)
        _let_go(held)
        assert supervisor.stdin is not None
        supervisor.stdin.write(made.to_line())
        supervisor.stdin.flush()
        return _wait(made, supervisor, tell)
    except BaseException:
        # The end of the pipe ends everything, however far it had come.
        if supervisor is not None:
            _end(supervisor)
        raise


def _let_go(held: list[int]) -> None:
    while held:
        os.close(held.pop())


def new_run_id() -> str:
    """Sorts by time, and is different for runs of the same second."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def _lock_up(folders: Folders, run: str) -> int:
    lock = locks.take(folders.up_lock)
    if lock is None:
        other = running_up(folders) or ""
        raise AlreadyRunning(
            f"A stack is up in this checkout already: run {other}. It was left alone.",
            hint="Look at it with: harness status. End it with: harness down",
            run=other,
        )
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{run}\n".encode(), 0)
    return lock


def _plan(
    options: StackOptions,
    folders: Folders,
    run: str,
    folder: Path,
    places: tuple[Path, ...],
    held: list[int],
    tell: Listener,
) -> Plan:
    """The plan of a run; the locks it needs beside those that are ``held`` come to them."""
    unknown = sorted(set(options.scale) - set(plan.SCALABLE))
    if unknown or any(count < 1 for count in options.scale.values()):
        raise HarnessError(
            f"{unknown[0]} cannot be scaled." if unknown else "Each count must be at least 1.",
            hint=f"These can be scaled: {', '.join(plan.SCALABLE)}.",
        )
    wanted = options.resources
    pages = None
    if wanted is None or "renderer" in wanted:
        pages = prepare_pages(
            folders,
            count=options.scale.get("renderer", 1),
            develop=options.develop,
            tell=lambda sentence: tell(Progress(sentence=sentence)),
        )
        if pages.build:
            held.append(pages.build.use())
    sources: list[EmbeddedSource] = []

    def embedded() -> EmbeddedSource:
        sources.append(EmbeddedSource.kept(folders) if options.durable else EmbeddedSource.throwaway(folders, run=run))
        return sources[0]

    def containers() -> tuple[ContainersSource, str]:
        if options.services == "auto" and options.durable:
            EmbeddedSource.refuse_to_leave(folders)
        found = ContainersSource.of_run(
            folders, run=run, durable=options.durable, tell=lambda sentence: tell(Progress(sentence=sentence))
        )
        return found, str(found.engine)

    url = UrlSource(environment=os.environ, directory=str(folders.root))
    postgres, redis = choose(
        options.services, environment=os.environ, url=url, containers=containers, embedded=embedded
    )
    for service in (postgres, redis):
        tell(Progress(sentence=f"{service.name}: {service.source} ({service.reason})"))
    if postgres.source == "url":
        tell(Progress(warning=_warn(postgres.resource.url or "", options.resources)))
    secret_key = Credentials.load_or_make(folders.data if options.durable else folder).secret_key
    ports: tuple[int, ...] = ()
    if wanted is None or "backend" in wanted:
        preferred = plan.PREFERRED_PORT if options.up else None
        first = app_port(options.port, preferred=preferred)
        ports = (first, *(free_port() for _ in range(options.scale.get("backend", 1) - 1)))
    proxies = None
    if options.proxies:
        # People know the address of the proxy.
        known, ports = ports, tuple(free_port() for _ in ports)
        servers = dict(zip(plan.instances("backend", len(ports)), zip(known, ports, strict=True), strict=True))
        if pages:
            names = plan.instances("renderer", len(pages.ports))
            servers |= {name: (free_port(), port) for name, port in zip(names, pages.ports, strict=True)}
        proxies = proxies_for((postgres, redis), servers, options.extra)
    basis = plan.Basis(
        run=run,
        root=folders.root,
        folder=folder,
        postgres=postgres,
        redis=redis,
        secret_key=secret_key,
        ports=ports,
        pages=pages,
        develop=options.develop,
        proxies=proxies,
    )
    records = (*plan.resources(basis, options.scale, wanted), *options.extra)
    backends = list(basis.backends)
    throwaway = [str(source.folder) for source in sources if not source.durable]
    return Plan(
        run=run,
        folder=str(folder),
        resources=records,
        facts={
            "environment": plan.environment(basis),
            "direct": basis.direct,
            "proxies": proxies.addresses() if proxies else {},
            "backends": backends,
            "services": [postgres.source, redis.source],
        },
        public={"kind": "up" if options.up else "throwaway", "backends": backends},
        remove=tuple(throwaway),
        places=tuple(map(str, places)),
        locks=tuple(held),
    )


def _warn(database: str, wanted: frozenset[str] | None) -> str:
    if wanted is not None and "prepare" not in wanted:
        return f"Using the database of DATABASE_URL: {database}"
    return (
        f"Using the database of DATABASE_URL: {database}. It will be migrated and seeded with development"
        " people whose passwords are well known."
    )


def _spawn(made: Plan) -> subprocess.Popen[bytes]:
    logs = private_folder(Path(made.folder) / "logs")
    with open(logs / "supervisor.log", "ab", opener=_private) as log:
        return subprocess.Popen(
            [sys.executable, "-m", "harness.stack.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=made.resources[0].directory if made.resources else "/",
            env=process_environment({sweep.VARIABLE: made.run, "PYTHONUNBUFFERED": "1"}),
            pass_fds=made.locks,
            # A Ctrl-C in the terminal is for the harness, which then ends all in order.
            start_new_session=True,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _wait(made: Plan, supervisor: subprocess.Popen[bytes], tell: Listener) -> RunningStack:
    client = Client(_control_path(made, supervisor))
    last: Snapshot | None = None
    for snapshot in client.watch():
        last = snapshot
        tell(Progress(snapshot=snapshot))
        if snapshot.phase == "ready":
            return RunningStack(
                run_id=made.run,
                folder=Path(made.folder),
                client=client,
                facts=made.facts,
                supervisor=supervisor,
            )
    if last is not None and last.failure is not None:
        raise as_error(last.failure)
    reason = last.reason if last else "no word from it"
    raise SupervisorGone(f"The start was ended from outside: {reason}.", hint="Start again with: harness up")


def _control_path(made: Plan, supervisor: subprocess.Popen[bytes]) -> Path:
    """Where the supervisor listens, from its first line."""
    assert supervisor.stdout is not None
    log = Path(made.folder) / "logs" / "supervisor.log"
    with selectors.DefaultSelector() as selector:
        selector.register(supervisor.stdout, selectors.EVENT_READ)
        if not selector.select(_SUPERVISOR_START):
            raise SupervisorSilent(
                f"The supervisor has not begun its work within {_SUPERVISOR_START:g} s.", hint=f"See {log}"
            )
    line = supervisor.stdout.readline().decode().strip()
    if not line:
        raise SupervisorGone("The supervisor ended before it began.", hint=f"See {log}")
    if line.startswith("{"):
        raise as_error(Failure.from_json(json.loads(line)))
    return Path(line)


def _end(supervisor: subprocess.Popen[bytes]) -> None:
    for stream in (supervisor.stdin, supervisor.stdout):
        # A supervisor that is gone cannot be told.
        with suppress(OSError):
            if stream is not None:
                stream.close()
    try:
        supervisor.wait(20)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
