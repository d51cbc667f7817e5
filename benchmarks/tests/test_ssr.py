from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from benchmarks.bars import Verdict
from benchmarks.ssr import data
from benchmarks.ssr.measure import Round, Subject, WrongAnswer, rounds
from benchmarks.ssr.run import API, BARS, PAGE, PEER, RENDERER, Result
from harness.folders import CHECKOUT


@asynccontextmanager
async def serving(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[str]:
    """The address of a server on loopback."""

    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def all_rows() -> bytes:
    return b" ".join(f"{data.MARK} {number:02d}".encode() for number in range(data.ROWS))


def subject(name: str, url: str, *, path: str = "/") -> Subject:
    return Subject(name=name, method="GET", url=f"{url}{path}", check=data.wrong_data)


def measured(answer: Callable[[web.Request], web.Response], *names: str, count: int = 3) -> list[Round]:
    async def whole() -> list[Round]:
        async with serving(answer) as url:
            subjects = [subject(name, url, path=f"/{name}") for name in names]
            return await rounds(subjects, count=count, concurrency=2, requests=6, told=lambda _: None)

    return asyncio.run(whole())


def test_subjects_take_turns_and_each_round_begins_with_another() -> None:
    asked: Counter[str] = Counter()

    def answer(request: web.Request) -> web.Response:
        asked[request.path] += 1
        return web.Response(body=all_rows())

    found = measured(answer, "a", "b", "c")
    assert [one.subject for one in found] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert asked == {"/a": 18, "/b": 18, "/c": 18}
    assert all(len(one.times) == 6 and one.p50 > 0 and one.rate > 0 for one in found)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (web.Response(status=500), "status 500"),
        (web.Response(status=302, headers={"Location": "/sign-in/"}), "status 302"),
        (web.Response(body=b"nothing"), "0 of 50 rows"),
        (web.Response(body=all_rows().replace(b"row 07", b"row 08")), "49 of 50 rows"),
    ],
)
def test_another_answer_is_no_measurement(answer: web.Response, reason: str) -> None:
    def fresh(_: web.Request) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

    with pytest.raises(WrongAnswer, match=reason):
        measured(fresh, "a")


def test_a_page_holds_its_rows_in_the_markup_and_as_data() -> None:
    block = b'<script id="__NEXT_DATA__">'
    assert data.wrong_page(all_rows() + block + all_rows()) is None
    assert data.wrong_page(block + all_rows()) == "0 of 50 rows"
    assert data.wrong_page(all_rows() + block) == "0 of 50 rows"
    assert data.wrong_page(all_rows() * 2) == "it holds no page data"


def turn(name: str, milliseconds: float, *, seconds: float = 1.0, answers: int = 10) -> Round:
    return Round(subject=name, concurrency=1, seconds=seconds, times=(milliseconds / 1000,) * answers)


def test_ratios_are_of_the_medians_of_the_rounds() -> None:
    result = Result(
        latency=tuple(
            turn(name, value)
            for values in (
                {PAGE: 11, API: 6, RENDERER: 4},
                {PAGE: 12, API: 6, RENDERER: 4},
                {PAGE: 99, API: 6, RENDERER: 90},
            )
            for name, value in values.items()
        ),
        throughput=(
            turn(PAGE, 1, answers=32),
            turn(PEER, 1, answers=10),
            turn(PEER, 1, answers=20),
            turn(PEER, 1, answers=20),
        ),
    )
    assert result.ratios == {"page_vs_parts": 1.2, "throughput_vs_django_nextjs": 1.6}


@pytest.mark.parametrize(
    ("ratio", "value", "verdict"),
    [
        ("page_vs_parts", 1.2, Verdict.REACHED),
        ("page_vs_parts", 1.21, Verdict.MISSED),
        ("throughput_vs_django_nextjs", 1.6, Verdict.REACHED),
        ("throughput_vs_django_nextjs", 1.59, Verdict.GATE),
        ("throughput_vs_django_nextjs", 1.29, Verdict.MISSED),
    ],
)
def test_a_bar_judges(ratio: str, value: float, verdict: Verdict) -> None:
    (bar,) = [bar for bar in BARS if bar.ratio == ratio]
    assert bar.judge(value) is verdict


@pytest.mark.heavy
@pytest.mark.stack
@pytest.mark.timeout(400)
def test_the_whole_comparison(tmp_path: Path) -> None:
    file = tmp_path / "ssr.json"
    size = ("--rounds", "1", "--requests", "3", "--seconds", "0.5", "--concurrency", "2")
    command = (sys.executable, "-m", "benchmarks", "ssr", *size, "--json", str(file))
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=380, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(file.read_text(encoding="utf-8"))
    assert set(record["ratios"]) == {"page_vs_parts", "throughput_vs_django_nextjs"}
    assert all(ratio > 0 for ratio in record["ratios"].values())
    assert {row["subject"] for row in record["raw"]} == {PAGE, PEER, API, RENDERER}
    assert 45_000 < record["page_data_bytes"] < 55_000
    report = Path(done.stdout.splitlines()[-1].removeprefix("report: "))
    assert "page by django-nextjs" in report.read_text(encoding="utf-8")
