"""Proofs that a resource is up and is the one that this run started."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.resources import HttpReady, PageReady, PostgresLogin, RedisPing

_ATTEMPT = 5.0
_PAGE = "/sign-in/"
"""A page that anybody may see, so that no data is needed to render it."""


async def postgres_answers(proof: PostgresLogin) -> str | None:
    """None if the login works and the data folder is ours, else why not."""
    # Imported while the server starts anyway, not before the supervisor does.
    import psycopg

    try:
        async with await psycopg.AsyncConnection.connect(
            proof.url, connect_timeout=int(_ATTEMPT), autocommit=True
        ) as connection:
            if proof.data_folder is None:
                return None
            row = await (await connection.execute("SHOW data_directory")).fetchone()
    except psycopg.Error as error:
        return f"Postgres does not let us in: {str(error).strip().splitlines()[0]}"
    found = row[0] if row else ""
    return None if found == proof.data_folder else f"another server answers, with its data in {found}"


async def redis_answers(proof: RedisPing, pid: int | None) -> str | None:
    """None if the login works and, where the server is our own, it is process ``pid``; else why not."""
    import redis.asyncio
    from redis.exceptions import RedisError

    client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
        proof.url, socket_timeout=_ATTEMPT, socket_connect_timeout=_ATTEMPT
    )
    folder = proof.folder
    try:
        found: Mapping[str, Any] = await client.info()
        if folder is not None:
            folder = (await client.config_get("dir"))["dir"]
    except (RedisError, OSError) as error:
        return f"Redis does not let us in: {error}"
    finally:
        await client.aclose()
    if found.get("loading"):
        return "Redis is still reading its data"
    if proof.own and found.get("process_id") != pid:
        return f"another server answers, process {found.get('process_id')}"
    if folder != proof.folder:
        return f"another server answers, in {folder}"
    return None


async def http_answers(proof: HttpReady, run: str) -> str | None:
    """None if the answer is 200 and carries this run's id, else why not."""
    try:
        answer = await asyncio.to_thread(_ask, proof.url)
    except (OSError, HTTPException) as error:
        return f"{proof.url} does not answer: {type(error).__name__}"
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    if not isinstance(body, dict) or body.get("run") != run:
        return f"{proof.url} is answered by something that is not of this run"
    return None if answer.status == 200 else f"{proof.url} answers {answer.status}: {body}"


async def page_answers(proof: PageReady, run: str) -> str | None:
    """None if a page was rendered by the renderer of this run, else why not."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    page = {"version": 1, "path": _PAGE, "now": now, "user": None, "snapshot": None}
    url = f"{proof.url}{_PAGE}"
    try:
        answer = await asyncio.to_thread(_ask, url, json.dumps(page).encode())
    except (OSError, HTTPException) as error:
        return f"{url} does not answer: {type(error).__name__}"
    if answer.run != run:
        return f"{url} is answered by something that is not of this run"
    return None if answer.status == 200 else f"{url} answers {answer.status}"


@dataclass(frozen=True)
class _Answer:
    """``run`` is the run that its header names."""

    status: int
    content: bytes
    run: str | None


def _ask(url: str, body: bytes | None = None) -> _Answer:
    """The answer to a GET, or to a POST of the JSON ``body``."""
    # The plain client of the standard library: no proxies, no redirects, and quick to import.
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_ATTEMPT)
    try:
        if body is None:
            connection.request("GET", parts.path)
        else:
            connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return _Answer(answer.status, answer.read(), answer.getheader("x-harness-run"))
    finally:
        connection.close()


def is_ready_message(message: bytes, run: str) -> bool:
    """Whether an sd_notify datagram says READY=1 and names this run."""
    lines = message.decode("utf-8", "replace").splitlines()
    return "READY=1" in lines and f"HARNESS_RUN={run}" in lines


class NotifySocket(asyncio.DatagramProtocol):
    """The receiving end of sd_notify for one resource; ``ready`` is set by the right message."""

    def __init__(self, run: str) -> None:
        self.ready = asyncio.Event()
        self._run = run
        self._transport: asyncio.BaseTransport | None = None

    async def open(self, path: Path) -> None:
        """Bind the socket at ``path``, a name not in use of at most 100 bytes."""
        loop = asyncio.get_running_loop()
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.setblocking(False)
        receiver.bind(str(path))
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=receiver)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Called by the event loop."""
        if is_ready_message(data, self._run):
            self.ready.set()

    def close(self) -> None:
        """Stop listening."""
        if self._transport:
            self._transport.close()
