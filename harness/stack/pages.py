"""What renders the pages: Next.js servers on a build of the front end, or its development server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.folders import Folders
from harness.frontend.build import Build, ensure_build
from harness.frontend.commands import Listener
from harness.frontend.node import Node, find_node
from harness.frontend.packages import ensure_packages
from harness.ports import free_port
from harness.resources import PageReady, Resource

# Longer than the backends keep an idle connection, so that it is never this end that closes one just being used.
_KEEP_ALIVE_MS = 65_000


@dataclass(frozen=True)
class Pages:
    """The renderers of one run, by port. Without a ``build`` it is the development server, of which there is one."""

    node: Node
    ports: tuple[int, ...]
    build: Build | None

    def environment(self) -> dict[str, str]:
        """What Django is told."""
        found = {"RENDERER_URLS": ",".join(map(_url, self.ports))}
        if self.build:
            found["FRONTEND_BUILD"] = str(self.build.path)
        else:
            found["FRONTEND_DEV_URL"] = _url(self.ports[0])
        return found

    def resources(self, names: Iterable[str], root: Path) -> list[Resource]:
        """The records, one for each port."""
        make = self._server if self.build else self._development
        return [make(name, port, root) for name, port in zip(names, self.ports, strict=True)]

    def _server(self, name: str, port: int, _root: Path) -> Resource:
        assert self.build is not None
        return Resource(
            name=name,
            kind="process",
            command=(str(self.node.binary), self.build.server.name),
            readiness=PageReady(_url(port)),
            directory=str(self.build.server.parent),
            environment={
                "PORT": str(port),
                "HOSTNAME": "127.0.0.1",
                "NODE_ENV": "production",
                "NEXT_TELEMETRY_DISABLED": "1",
                "KEEP_ALIVE_TIMEOUT": str(_KEEP_ALIVE_MS),
            },
            endpoints={"http": _url(port)},
            grace=5.0,
            # It renders what it is given. The keys to the data are none of its business.
            inherits=False,
        )

    def _development(self, name: str, port: int, root: Path) -> Resource:
        program = ("node_modules/next/dist/bin/next", "dev", "--hostname", "127.0.0.1", "--port", str(port))
        return Resource(
            name=name,
            kind="process",
            command=(str(self.node.binary), *program),
            readiness=PageReady(_url(port)),
            directory=str(root / "frontend"),
            environment={
                "PATH": self.node.path(),
                "NEXT_TELEMETRY_DISABLED": "1",
                "FRONTEND_DEV_URL": _url(port),
            },
            endpoints={"http": _url(port)},
            grace=5.0,
            # It compiles a page when that is asked for.
            within=180.0,
            inherits=False,
        )


def prepare_pages(folders: Folders, *, count: int, develop: bool, tell: Listener) -> Pages:
    """Have what the renderers run ready, which may take a build, and choose their ports.

    Raises NodeMissing, BuildFailed, DiskFull, HarnessError.
    """
    if develop and count > 1:
        raise HarnessError("There can be only one development server.", hint="Leave out: --scale renderer")
    build = None
    if develop:
        ensure_packages(folders, on_progress=tell)
    else:
        build = ensure_build(folders, on_progress=tell)
    return Pages(find_node(folders.root), tuple(free_port() for _ in range(count)), build)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
