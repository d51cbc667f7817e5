"""Proxies in a process of their own, and both ends of the connections through them in the test's hands."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from harness.faults import network
from harness.faults.target import CONTROL, Target, to_argument
from harness.folders import CHECKOUT
from harness.ports import free_port
from harness.stack import RunningStack

WITHIN = 10.0
"""Seconds after which a socket of a test gives up."""
_RESETTING = struct.pack("ii", 1, 0)


class Server:
    """A listener whose connections the test accepts and serves itself."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(WITHIN)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def accept(self) -> socket.socket:
        found, _ = self._listener.accept()
        found.settimeout(WITHIN)
        return found

    def waits(self) -> bool:
        """Whether somebody has connected and was not accepted yet."""
        return bool(select.select([self._listener], [], [], 0)[0])

    def close(self) -> None:
        self._listener.close()


@dataclass
class Proxied:
    """The process, and what it has in front of ``servers``. Stands in for a stack where faults are asked for."""

    folder: Path
    servers: dict[str, Server] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        targets = []
        for name in ("a", "b"):
            self.servers[name] = Server()
            self.ports[name] = free_port()
            targets.append(Target(name, self.ports[name], "127.0.0.1", self.servers[name].port))
        self.ports["nobody"] = free_port()
        targets.append(Target("nobody", self.ports["nobody"], "127.0.0.1", free_port()))
        self._argument = to_argument(targets)
        self._opened = ExitStack()
        self.start()

    def start(self) -> None:
        """Start the process and wait until it says that it is ready."""
        self.process, message = spawn(self.folder, self._argument)
        assert message == b"READY=1\nHARNESS_RUN=r\n"

    def kill(self) -> None:
        """Kill the process; it must have had nothing to complain of."""
        self.process.kill()
        _, said = self.process.communicate()
        assert "Error" not in said.replace("[Errno", ""), said

    @property
    def control(self) -> Path:
        return self.folder / CONTROL

    @property
    def stack(self) -> RunningStack:
        """What the faults ask a stack for."""
        return cast("RunningStack", self)

    @property
    def proxies(self) -> dict[str, int]:
        return self.ports

    @property
    def sockets(self) -> Path:
        return self.folder

    def client(self, name: str = "a") -> socket.socket:
        """A connection to the proxy."""
        return self._opened.enter_context(socket.create_connection(("127.0.0.1", self.ports[name]), WITHIN))

    def pair(self, name: str = "a") -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection through the proxy: the client's and the server's."""
        client = self.client(name)
        return client, self._opened.enter_context(self.servers[name].accept())

    def passes(self, name: str = "a") -> bool:
        """Whether a new connection carries a word there and back; false if it is not even made."""
        try:
            client, server = self.pair(name)
        except ConnectionRefusedError:
            return False
        client.sendall(b"ping")
        assert exactly(server, 4) == b"ping"
        server.sendall(b"pong")
        return exactly(client, 4) == b"pong"

    def hang_up(self) -> None:
        """Close what this test has opened."""
        self._opened.close()
        while True:
            waiting = [server for server in self.servers.values() if server.waits()]
            if not waiting:
                return
            for server in waiting:
                server.accept().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hang_up()
        self.kill()
        for server in self.servers.values():
            server.close()


def spawn(folder: Path, argument: str) -> tuple[subprocess.Popen[str], bytes]:
    """The proxies as a process, and what it has said to its NOTIFY_SOCKET: nothing if it ended before."""
    address = folder / f"notify.{free_port()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(address))
        receiver.settimeout(0.05)
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.faults.proxy", argument],
            cwd=CHECKOUT,
            env={"NOTIFY_SOCKET": str(address), "HARNESS_RUN": "r", "PATH": os.environ["PATH"]},
            stderr=subprocess.PIPE,
            text=True,
        )
        while True:
            try:
                return process, receiver.recv(1024)
            except TimeoutError:
                if process.poll() is not None:
                    return process, b""


def exactly(connection: socket.socket, size: int) -> bytes:
    """The next ``size`` bytes, or fewer if the other side ends before."""
    found = bytearray()
    while len(found) < size and (piece := connection.recv(min(65536, size - len(found)))):
        found += piece
    return bytes(found)


def to_the_end(connection: socket.socket) -> bytes:
    """All that comes until the other side has sent its last."""
    return exactly(connection, sys.maxsize)


def reset(connection: socket.socket) -> None:
    """Close it with an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETTING)
    connection.close()


def watching(proxied: Proxied, name: str = "a") -> AbstractContextManager[network.Toll]:
    """A fault that does nothing, for its counters."""
    return network.slow_close(proxied.stack, name, seconds=0)
