"""What tests of pages need: a renderer that misbehaves on purpose, and a client of the front without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings

from stack.pages import process
from stack.pages.front import Front
from stack.pages.routes import NOT_FOUND, PAGES

T = TypeVar("T")

WITHIN = 20.0


@dataclass(frozen=True)
class Seen:
    """A request as it arrived at the renderer."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


Behaviour = Callable[[Seen, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class FakeRenderer:
    """A real HTTP server on loopback; ``behaviour`` writes its answers and may be changed at any time."""

    behaviour: Behaviour
    seen: list[Seen] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
                first, *lines = head.rstrip().split("\r\n")
                headers = tuple((name.lower(), value) for name, _, value in (line.partition(": ") for line in lines))
                method, path, _version = first.split(" ")
                body = await reader.readexactly(int(dict(headers).get("content-length", "0")))
                self.seen.append(Seen(method, path, headers, body))
                self.arrived.set()
                await self.behaviour(self.seen[-1], reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def renderer(behaviour: Behaviour) -> AsyncIterator[FakeRenderer]:
    """Serve until the block ends."""
    fake = FakeRenderer(behaviour)
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(fake.serve(reader, writer))
        tasks.add(task)
        await asyncio.gather(task, return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def says(
    body: bytes = b"<!DOCTYPE html><p>rendered</p>",
    *,
    status: str = "200 OK",
    content_type: str = "text/html; charset=utf-8",
    more: str = "",
) -> Behaviour:
    """A behaviour: answer with this."""

    async def behave(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        writer.write(head.encode("latin1") + body)
        await writer.drain()

    return behave


async def freezes(_seen: Seen, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """A behaviour: never answer; ends when the one who asked is gone."""
    await reader.readexactly(1)


async def resets(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A behaviour: cut the connection without an answer."""
    writer.transport.abort()
    raise ConnectionResetError


async def resets_in_the_body(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A behaviour: cut the connection after half an answer."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n<p>half")
    await writer.drain()
    writer.close()
    raise ConnectionResetError


@dataclass(frozen=True)
class Answer:
    """What a client of the front gets."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        """The one header of this name, empty if there is none."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} twice: {values}"
        return values[0] if values else ""

    @property
    def text(self) -> str:
        return self.body.decode()


async def ask(
    front: Front,
    path: str,
    *,
    method: str = "GET",
    session: str | None = None,
    headers: dict[str, str] | None = None,
    query: bytes = b"",
    scheme: str = "http",
    gone: asyncio.Event | None = None,
) -> Answer | None:
    """One request; None where nothing was answered, which befits a client that is gone."""
    given = {"host": "127.0.0.1:8000"} | (headers or {})
    if session is not None:
        given["cookie"] = f"{settings.SESSION_COOKIE_NAME}={session}"
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": scheme,
        "query_string": query,
        "headers": [(name.encode(), value.encode("latin1")) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    await front(scope, receive, send)
    if not sent:
        return None
    found = tuple((name.decode(), value.decode("latin1")) for name, value in sent[0]["headers"])
    return Answer(sent[0]["status"], found, b"".join(message["body"] for message in sent[1:]))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop of its own, with an end as a server's."""

    async def whole() -> T:
        try:
            async with asyncio.timeout(WITHIN):
                return await work
        finally:
            await process.close()

    return asyncio.run(whole())


def get(front: Front, path: str, **options: Any) -> Answer:
    """One answered request."""
    answer = run(ask(front, path, **options))
    assert answer is not None
    return answer


async def echoes(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A renderer that answers with what it was asked, as Next answers the 404 page."""
    status = "404 Not Found" if seen.path == "/404/" else "200 OK"
    await says(seen.path.encode() + b" " + seen.body, status=status)(seen, reader, writer)


def rendered(
    new_front: Callable[..., Front], path: str, *, behaviour: Behaviour = echoes, **options: Any
) -> tuple[Answer, FakeRenderer]:
    """One page with a renderer that behaves so."""

    async def work() -> tuple[Answer, FakeRenderer]:
        async with renderer(behaviour) as fake:
            answer = await ask(new_front(fake.url), path, **options)
            assert answer is not None
            return answer, fake

    return run(work())


def page_data(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body.partition(b" ")[2])
    return found


async def no_django(_scope: Any, _receive: Any, send: Any) -> None:
    """Stands in for Django's handler."""
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"django"})


def write_build(folder: Path) -> Path:
    """A build as the front end's would be: shells of all pages and static files in both trees."""
    files = {
        f"web{page.route.rstrip('/')}/index.html": SHELL.format(route=page.route) for page in (*PAGES, NOT_FOUND)
    } | {
        "web/_next/static/chunks/web-1a.js": "web",
        "web/_next/static/chunks/big-2b.js": "big " * 1000,
        "web/_next/static/chunks/big-2b.js.gz": "compressed",
        "web/_next/data/secret.json": "{}",
        "web/favicon.svg": "<svg/>",
        "web/icons/app.png": "png",
        "renderer/.next/static/chunks/renderer-3c.css": "p{}",
        "renderer/server.js": "server",
    }
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


SHELL = (
    "<!DOCTYPE html><html><head><title>{route}</title>"
    "<script src='/_next/static/chunks/web-1a.js' defer></script></head><body><div id='__next'>shell of {route}</div>"
    "<script id='__NEXT_DATA__' type='application/json'>{{}}</script></body></html>"
)
