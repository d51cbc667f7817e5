"""The servers that are compared, each one process with sockets, with the same flags where it is uvicorn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import httpx
import psutil

from benchmarks.live.wire import ORIGIN
from harness import HarnessError, RunningStack
from harness.folders import Folders
from harness.frontend.commands import turn
from harness.frontend.node import Node, find_node
from harness.frontend.packages import install
from harness.ports import free_port

PEER = Path(__file__).resolve().parent / "socketio"
READY_WITHIN = 180.0
"""Seconds; a relay evaluates all memberships before it is ready, for the first time those of thousands of users."""
LAST_WORDS = 15.0
FLAGS = (
    *("--ws", "websockets-sansio", "--ws-per-message-deflate", "false", "--ws-max-size", "65536"),
    *("--log-level", "warning", "--no-access-log", "--no-server-header", "--no-proxy-headers"),
)


@dataclass(frozen=True, kw_only=True)
class Server:
    """An address without scheme and slash at the end, and the process that holds the sockets."""

    address: str
    pid: int

    @property
    def memory(self) -> int:
        """Bytes that are resident now."""
        return int(psutil.Process(self.pid).memory_info().rss)


class Servers:
    """Starts each side's server anew for each of its turns, in the environment of a running stack's services."""

    def __init__(self, stack: RunningStack, folders: Folders) -> None:
        self._stack = stack
        self._folders = folders
        self._node = find_node(folders.root)
        self._peer = _socketio(folders, self._node)
        self._environment = {
            **os.environ,
            **stack.environment,
            "STACK_ENV": "production",
            "ALLOWED_HOSTS": "127.0.0.1",
            "APP_ORIGINS": ORIGIN,
            "BEHIND_TLS_PROXY": "true",
            "STATIC_ROOT": str(stack.folder),
            "LOG_LEVEL": "WARNING",
        }

    @contextmanager
    def engine(self) -> Generator[Server]:
        """This stack's backend with its relay, ready when the hub knows the log."""
        relay = (sys.executable, "-u", "manage.py", "live", "relay")
        with (
            self._process("relay", relay),
            self._uvicorn("engine", "benchmarks.live.engine:application", lifespan="on", ready="/readyz") as server,
        ):
            yield server

    @contextmanager
    def stock(self) -> Generator[Server]:
        """A stock Channels consumer."""
        settings = {"DJANGO_SETTINGS_MODULE": "benchmarks.live.stock.settings"}
        with self._uvicorn("stock", "benchmarks.live.stock.asgi:application", lifespan="off", more=settings) as server:
            yield server

    @contextmanager
    def bare(self) -> Generator[Server]:
        """An application that only writes to sockets."""
        with self._uvicorn("bare", "benchmarks.live.bare:application", lifespan="on") as server:
            yield server

    @contextmanager
    def socketio(self) -> Generator[Server]:
        """socket.io on Node."""
        port = free_port()
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PORT": str(port),
            "NODE_ENV": "production",
            "REDIS_URL": self._stack.environment["REDIS_URL"],
            "HARNESS_RUN": self._stack.run_id,
        }
        command = (str(self._node.binary), "server.js")
        with self._process("socketio", command, environment, directory=self._peer) as pid:
            yield self._ready("socketio", port, "/", pid)

    @contextmanager
    def _uvicorn(
        self, name: str, application: str, *, lifespan: str, ready: str = "/", more: Mapping[str, str] | None = None
    ) -> Generator[Server]:
        port = free_port()
        place = ("--host", "127.0.0.1", "--port", str(port), "--timeout-graceful-shutdown", "10")
        command = (sys.executable, "-u", "-m", "uvicorn", application, *place, *FLAGS, "--lifespan", lifespan)
        with self._process(name, command, {**self._environment, **(more or {})}) as pid:
            yield self._ready(name, port, ready, pid)

    @contextmanager
    def _process(
        self,
        name: str,
        command: tuple[str, ...],
        environment: Mapping[str, str] | None = None,
        *,
        directory: Path | None = None,
    ) -> Generator[int]:
        log = self._stack.folder / "logs" / f"bench-{name}.log"
        with ExitStack() as ending:
            output = ending.enter_context(log.open("ab"))
            # What carries the run's id ends with the run, even if nobody is left here to end it.
            process = ending.enter_context(
                subprocess.Popen(
                    command,
                    cwd=directory or self._folders.root,
                    env=environment or self._environment,
                    stdout=output,
                    stderr=output,
                )
            )
            try:
                yield process.pid
            finally:
                process.terminate()
                try:
                    process.wait(LAST_WORDS)
                except subprocess.TimeoutExpired:
                    process.kill()

    def _ready(self, name: str, port: int, path: str, pid: int) -> Server:
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False)
                # Only a probe has to succeed; any other answer says that there is a server.
                if path == "/" or answer.is_success:
                    return Server(address=f"127.0.0.1:{port}", pid=pid)
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise HarnessError(
                    f"The server {name} of the benchmark is not ready.", hint=f"See logs/bench-{name}.log of the run."
                )
            time.sleep(0.1)


def _socketio(folders: Folders, node: Node) -> Path:
    """The peer on Node with its packages."""
    root = folders.cache / "live-peer"
    target = root / "frontend"
    target.mkdir(parents=True, exist_ok=True)
    for file in PEER.iterdir():
        if file.is_file():
            shutil.copy(file, target / file.name)
    peer = Folders(root=root, runs=root / "runs", data=root / "data", cache=root / "cache")

    def tell(sentence: str) -> None:
        click.echo(sentence, err=True)

    with turn(root, tell) as lock:
        install(peer, node, lock=lock, tell=tell)
    return target
