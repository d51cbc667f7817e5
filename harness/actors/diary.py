"""What a browser's page lets be heard: live frames, requests, console, trouble. Kept, and told to the chronicle."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.actors.device import Requests
from harness.actors.evidence import write_console, write_frames
from harness.actors.http import anonymous
from harness.browser.tab import Tab
from harness.browser.trouble import Trouble
from harness.play.moments import Chronicle, Kind

FRAMES_KEPT = 5000
CONSOLE_KEPT = 2000


class Diary:
    """Hears what a tab tells, on the driving thread; may be read on any."""

    def __init__(
        self, label: str, chronicle: Chronicle, requests: Requests, *, on_event: Callable[[str, float], None]
    ) -> None:
        """`on_event`: told every live frame that came in, as text, and when."""
        self.frame_count = 0
        self._label = label
        self._chronicle = chronicle
        self._requests = requests
        self._on_event = on_event
        self._frames: deque[tuple[float, bool, Any]] = deque(maxlen=FRAMES_KEPT)
        self._console: deque[str] = deque(maxlen=CONSOLE_KEPT)

    @property
    def received(self) -> tuple[str, ...]:
        """The newest live frames that came in, oldest first, as JSON."""
        return tuple(json.dumps(frame, ensure_ascii=False) for _, sent, frame in tuple(self._frames) if not sent)

    @property
    def is_whole(self) -> bool:
        """Whether every frame has been kept."""
        return self.frame_count <= FRAMES_KEPT

    def frame(self, text: str, *, sent: bool, at: float) -> None:
        """A live frame came in or was sent."""
        frame = json.loads(text)
        self._frames.append((at, sent, frame))
        self.frame_count += 1
        self._chronicle.frame(self._label, frame, sent=sent, at=at)
        if not sent:
            self._on_event(text, at)

    def request(self, method: str, path: str, ms: float, error: str | None) -> None:
        """A request for a page or data ended."""
        self._requests.request(method, anonymous(path), ms, error)

    def console(self, level: str, text: str, *, at: float) -> None:
        """The page wrote into its console, and it is no trouble."""
        self._console.append(f"{self._chronicle.seconds(at):8.3f} {level}: {text}")
        self._chronicle.tell(self._label, "console", f"{level}: {text}", at=at)

    def trouble(self, trouble: Trouble) -> None:
        """Something went wrong, expected or not."""
        excuse = f" (expected: {trouble.excuse})" if trouble.excuse else ""
        self._console.append(f"{self._chronicle.seconds(trouble.at):8.3f} {trouble}{excuse}")
        kind: Kind = "console" if trouble.kind == "console" else "fault"
        text = trouble.text if kind == "console" else str(trouble)
        self._chronicle.tell(self._label, kind, f"{text}{excuse}", failed=not excuse, at=trouble.at)

    def write_frames(self, folder: Path) -> None:
        """Leave the frames in both directions."""
        frames = ((self._chronicle.seconds(at), sent, frame) for at, sent, frame in tuple(self._frames))
        write_frames(folder, self._label, frames)

    def write_console(self, folder: Path, tab: Tab) -> None:
        """Leave the console with what went wrong, and what was asked for in vain."""
        lines = list(self._console)
        lines += [f"asked for {host}, which can't be reached from here" for host in sorted(tab.refused_hosts)]
        write_console(folder, self._label, lines)
