"""The network of one simulated device: a SOCKS proxy on loopback, which can be cut like a cable.

A browser's own switch for being offline leaves open connections alone; a cable that is pulled does not. It leads to
the stack's host alone: whatever else a browser would like to tell the world goes nowhere.
"""

from __future__ import annotations

import asyncio
import ipaddress

_VERSION = 5
_CONNECT, _IPV4, _NAME = 1, 1, 3
_DONE, _FORBIDDEN, _UNREACHABLE = 0, 2, 4
_CHUNK = 65536


class Uplink:
    """Everything in here is called on the event loop that it was opened on."""

    def __init__(self, hosts: frozenset[str]) -> None:
        """`hosts`: names and addresses that it leads to."""
        self.refused: set[str] = set()
        """Hosts that were asked for and not reached."""
        self._hosts = hosts
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._whole = True

    async def open(self) -> str:
        """Listen; the address for a browser's proxy setting."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"socks5://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Reset all connections, both ways, and let no new ones through."""
        self._whole = False
        for writer in tuple(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._whole = True

    async def close(self) -> None:
        """End all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Its own task, not the server's: that one complains about being cancelled.
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not self._whole:
                writer.transport.abort()
                return
            host, port = await _greeting(reader, writer)
            if host not in self._hosts:
                self.refused.add(host)
                writer.write(_answer(_FORBIDDEN))
                await writer.drain()
                return
            await self._join(reader, writer, host, port)
        except (OSError, EOFError, ValueError):
            # Either side may go at any time; the browser is told by the end of the connection.
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        try:
            there, out = await asyncio.open_connection(host, port)
        except OSError:
            writer.write(_answer(_UNREACHABLE))
            await writer.drain()
            return
        self._writers.add(out)
        try:
            if not self._whole:
                return
            writer.write(_answer(_DONE))
            await asyncio.gather(_pump(reader, out), _pump(there, writer))
        finally:
            self._writers.discard(out)
            out.close()


async def _greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """The host and port that the other side wants (RFC 1928, no authentication)."""
    version, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(bytes([_VERSION, 0]))
    _, command, _, kind = await reader.readexactly(4)
    if version != _VERSION or command != _CONNECT:
        raise ValueError("no SOCKS 5 CONNECT")
    if kind == _NAME:
        (length,) = await reader.readexactly(1)
        host = (await reader.readexactly(length)).decode("ascii")
    else:
        host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == _IPV4 else 16)))
    return host, int.from_bytes(await reader.readexactly(2), "big")


def _answer(code: int) -> bytes:
    return bytes([_VERSION, code, 0, _IPV4, 0, 0, 0, 0, 0, 0])


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass everything on, then the end; a connection that breaks breaks on both sides."""
    try:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
    except OSError:
        target.transport.abort()
