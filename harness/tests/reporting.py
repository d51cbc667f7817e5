"""Plays for the tests of reports, made up without a stack."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

from harness.play.moments import Kind, Moment
from harness.play.observers import Step
from harness.play.recorder import Recorder
from harness.play.runner import Play
from harness.play.scenario import Scenario, scenario
from harness.play.stage import Stage
from harness.report import REPORT_HTML, write_report

BEGAN = datetime.fromisoformat("2026-01-02T03:04:05+00:00")
JPEG = b"\xff\xd8\xff\xe0 a picture"


@scenario("A story <&> more", tags={"demo"})
def story(stage: Stage) -> None:
    """Nothing happens.

    And it takes a while.
    """


LOOK = Step(title="Look", cue="Now.", budget=1, seconds=1.5, at=0.25)


def a_play(
    failure: Exception | None = None,
    *,
    one: Scenario = story,
    steps: Sequence[Step] = (LOOK,),
    moments: Sequence[Moment] = (),
    evidence: Path | None = Path("/somewhere/plays/story"),
    trace: str = "",
) -> Play:
    """A play of two seconds with some timings."""
    recorder = Recorder()
    for ms in range(1, 101):
        recorder.delivery("message", float(ms), None)
    recorder.delivery("message", 9000.0, "lost: 'hello'")
    recorder.request("GET", "/api/session", 3.0, None)
    return Play(
        scenario=one,
        began=BEGAN,
        seconds=2.0,
        steps=tuple(steps),
        requests=recorder.requests,
        deliveries=recorder.deliveries,
        moments=tuple(moments),
        failure=failure,
        trace=trace or ("" if failure is None else f"Traceback: {failure}"),
        evidence=evidence,
    )


def a_moment(
    at: float,
    text: str = "something",
    *,
    actor: str = "bob",
    kind: Kind = "does",
    file: str | None = None,
    failed: bool = False,
) -> Moment:
    """A moment of bob's."""
    return Moment(at=at, actor=actor, kind=kind, text=text, file=file, failed=failed)


def page_of(folder: Path, *plays: Play) -> Page:
    """The report page of some plays, written into `folder` and read again."""
    write_report(folder, plays, run="r1", app="http://127.0.0.1:1")
    return Page((folder / REPORT_HTML).read_text(encoding="utf-8"))


class Page(HTMLParser):
    """A page as a reader gets it: its texts, its tags with their attributes, the rows of its tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._silent = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._texts.append(data)

    @property
    def text(self) -> str:
        """All its words with single spaces between them."""
        return re.sub(r"\s+", " ", " ".join(self._texts))

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag that has these among its own."""
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]
