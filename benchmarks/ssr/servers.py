"""The servers that are compared: for each side one Django and one renderer, with the same database and settings."""

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

from harness import HarnessError, RunningStack
from harness.folders import Folders
from harness.frontend.build import Build, ensure_build
from harness.frontend.node import find_node
from harness.ports import free_port

PEER = Path(__file__).resolve().parent / "peer"
READY_WITHIN = 60.0
LAST_WORDS = 5.0
TLS = {"X-Forwarded-Proto": "https"}
"""What the proxy in front of a deployment says; all servers run as in production."""


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Addresses without a slash at the end."""

    stack: str
    renderer: str
    peer: str


def builds(folders: Folders) -> tuple[Build, Build]:
    """The front end's build and the peer's: the same sources, but that its renderer asks for the data."""

    def tell(sentence: str) -> None:
        click.echo(sentence, err=True)

    own = ensure_build(folders, on_progress=tell)
    root = folders.cache / "peer"
    target = root / "frontend"
    shutil.rmtree(target, ignore_errors=True)
    ignored = shutil.ignore_patterns("node_modules", ".next*", "out")
    shutil.copytree(folders.root / "frontend", target, ignore=ignored)
    shutil.copy(PEER / "page-data.ts", target / "src" / "shared" / "page-data.ts")
    # Linked, as a second installation would take half a minute and half a gigabyte.
    packages = folders.root / "frontend" / "node_modules"
    shutil.copytree(packages, target / "node_modules", symlinks=True, copy_function=os.link)
    os.environ.setdefault("HARNESS_NODE", str(find_node(folders.root).binary))
    peer = Folders(root=root, runs=root / "runs", data=root / "data", cache=root / "cache")
    tell("The peer: the same pages for django-nextjs.")
    return own, ensure_build(peer, on_progress=tell)


@contextmanager
def serving(stack: RunningStack, own: Build, peer: Build, *, folders: Folders) -> Generator[Servers]:
    """All four servers, ready; their logs lie in the run folder."""
    ports = {name: free_port() for name in ("stack", "renderer", "peer", "peer_renderer")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    production = {
        **stack.environment,
        "STACK_ENV": "production",
        "ALLOWED_HOSTS": "127.0.0.1",
        "APP_ORIGINS": "https://127.0.0.1",
        "BEHIND_TLS_PROXY": "true",
        "STATIC_ROOT": str(stack.folder),
        "FRONTEND_BUILD": str(own.path),
        "LOG_LEVEL": "WARNING",
        "RENDERER_URLS": urls["renderer"],
        "PEER_RENDERER_URL": urls["peer_renderer"],
    }
    node = find_node(folders.root).binary
    with ExitStack() as ending:
        for name, build in (("renderer", own), ("peer_renderer", peer)):
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOSTNAME": "127.0.0.1",
                "PORT": str(ports[name]),
                "NODE_ENV": "production",
                "NEXT_TELEMETRY_DISABLED": "1",
                "KEEP_ALIVE_TIMEOUT": "65000",
                "HARNESS_RUN": stack.run_id,
                "PEER_DATA_URL": f"{urls['peer']}/data",
            }
            server = (str(node), "server.js")
            ending.enter_context(_process(stack, name, server, environment, directory=build.server.parent))
        for name, application in (("stack", "stack.config.asgi"), ("peer", "benchmarks.ssr.peer.asgi")):
            environment = {**os.environ, **production}
            if name == "peer":
                environment["DJANGO_SETTINGS_MODULE"] = "benchmarks.ssr.peer.settings"
            command = _uvicorn(f"{application}:application", ports[name])
            ending.enter_context(_process(stack, name, command, environment, directory=folders.root))
        for name in ports:
            _wait_for(name, urls[name])
        yield Servers(stack=urls["stack"], renderer=urls["renderer"], peer=urls["peer"])


def _uvicorn(application: str, port: int) -> tuple[str, ...]:
    place = ("--host", "127.0.0.1", "--port", str(port))
    quiet = ("--log-level", "warning", "--no-access-log", "--no-server-header", "--no-proxy-headers")
    return (sys.executable, "-m", "uvicorn", application, *place, *quiet, "--lifespan", "on")


@contextmanager
def _process(
    stack: RunningStack, name: str, command: tuple[str, ...], environment: Mapping[str, str], *, directory: Path
) -> Generator[None]:
    # What carries the run's id ends with the run, even if nobody is left here to end it.
    log = stack.folder / "logs" / f"bench-{name}.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=directory, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(LAST_WORDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(name: str, url: str) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            # Any answer will do: what is measured is checked by itself.
            httpx.get(f"{url}/chats/1/", headers=TLS, timeout=5, trust_env=False)
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise HarnessError(
                    f"The server {name} of the benchmark does not answer.",
                    hint=f"See logs/bench-{name}.log of the run.",
                ) from error
            time.sleep(0.1)
        else:
            return
