"""Runs the comparison and tells what came of it."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import aiohttp

from benchmarks.bars import Limit
from benchmarks.ssr import data
from benchmarks.ssr.measure import Round, Subject, rounds, warm_up
from benchmarks.ssr.servers import TLS, Servers

PAGE, PEER, API, RENDERER = (
    "page through Django",
    "page by django-nextjs",
    "the data over the API",
    "the renderer alone",
)
LATENCY, THROUGHPUT = "latency", "throughput"


BARS = (
    Limit(ratio="page_vs_parts", about="page / (API + renderer), p50", goal=1.2, gate=1.2, more=False),
    Limit(
        ratio="throughput_vs_django_nextjs",
        about="throughput / that of django-nextjs",
        goal=1.6,
        gate=1.3,
        more=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured: rounds, requests of a latency turn, seconds and connections of a throughput turn."""

    rounds: int = 7
    requests: int = 60
    seconds: float = 4.0
    concurrency: int = 8


@dataclass(frozen=True, kw_only=True)
class Result:
    """All turns, in their order."""

    latency: tuple[Round, ...]
    throughput: tuple[Round, ...]

    def p50(self, subject: str) -> float:
        """Median of the rounds' medians, in milliseconds."""
        return statistics.median(one.p50 for one in self.latency if one.subject == subject)

    def rate(self, subject: str) -> float:
        """Median of the rounds' rates, in answers a second."""
        return statistics.median(one.rate for one in self.throughput if one.subject == subject)

    @property
    def ratios(self) -> dict[str, float]:
        """``page_vs_parts``: what the page takes against its parts. ``throughput_vs_django_nextjs``: more is better."""
        return {
            "page_vs_parts": round(self.p50(PAGE) / (self.p50(API) + self.p50(RENDERER)), 3),
            "throughput_vs_django_nextjs": round(self.rate(PAGE) / self.rate(PEER), 3),
        }

    def record(self, size: Size, measured_bytes: int) -> dict[str, Any]:
        """The result as JSON types, beside what it was measured on."""
        return {
            "benchmark": "ssr",
            "ratios": self.ratios,
            "p50_ms": {name: round(self.p50(name), 2) for name in _names(self.latency)},
            "rate_per_s": {name: round(self.rate(name), 1) for name in _names(self.throughput)},
            "page_data_bytes": measured_bytes,
            "size": vars(size),
            "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "load": os.getloadavg()},
            "versions": {name: version(name) for name in ("django", "django-nextjs", "aiohttp", "uvicorn")},
            "raw": [
                {
                    "measure": measure,
                    "subject": one.subject,
                    "concurrency": one.concurrency,
                    "answers": len(one.times),
                    "seconds": round(one.seconds, 4),
                    "p50_ms": round(one.p50, 3),
                    "rate_per_s": round(one.rate, 2),
                }
                for measure, turns in ((LATENCY, self.latency), (THROUGHPUT, self.throughput))
                for one in turns
            ],
        }


async def compare(
    servers: Servers, measured: data.Measured, size: Size, told: Callable[[str], None]
) -> tuple[Result, int]:
    """Measure everything; the result, and the bytes of page data that went to the renderer.

    Raises `WrongAnswer`.
    """
    visitor = {**TLS, "Cookie": f"__Host-sessionid={measured.session}"}
    body = await _page_data(f"{servers.stack}{measured.path}", visitor)
    page = Subject(
        name=PAGE, method="GET", url=f"{servers.stack}{measured.path}", headers=visitor, check=data.wrong_page
    )
    peer = Subject(
        name=PEER, method="GET", url=f"{servers.peer}{measured.path}", headers=visitor, check=data.wrong_page
    )
    api = Subject(
        name=API, method="GET", url=f"{servers.stack}/api/live/snapshot", headers=visitor, check=data.wrong_data
    )
    renderer = Subject(
        name=RENDERER,
        method="POST",
        url=f"{servers.renderer}{measured.path}",
        headers={"Content-Type": "application/json"},
        body=body,
        check=data.wrong_page,
    )

    def tell(one: Round) -> None:
        told(f"  {one.subject:<24} {one.p50:7.2f} ms  {one.rate:7.1f} a second  ({one.concurrency} at once)")

    everything = (page, peer, api, renderer)
    told("warming up...")
    await warm_up(everything)
    told(f"{LATENCY}: {size.rounds} rounds, one request at a time")
    latency = await rounds(everything, count=size.rounds, concurrency=1, requests=size.requests, told=tell)
    told(f"{THROUGHPUT}: {size.rounds} rounds, {size.concurrency} requests at a time")
    throughput = await rounds(
        (page, peer), count=size.rounds, concurrency=size.concurrency, seconds=size.seconds, told=tell
    )
    return Result(latency=tuple(latency), throughput=tuple(throughput)), len(body)


async def _page_data(url: str, visitor: dict[str, str]) -> bytes:
    """What Django sends to the renderer for this page: the page holds it once more, for the browser."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(url, headers=visitor) as response,
    ):
        html = await response.text()
    block = html.partition('id="__NEXT_DATA__"')[2].partition(">")[2].partition("</script>")[0]
    return json.dumps(json.loads(block)["props"]["pageProps"]["data"], separators=(",", ":")).encode()


def _names(turns: Sequence[Round]) -> list[str]:
    return list(dict.fromkeys(one.subject for one in turns))
