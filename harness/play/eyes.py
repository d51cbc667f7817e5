"""What a stage needs to seat actors at browsers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness.browser.driver import Browsers


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """`roles` get a window of `browsers` on each of their devices; pictures go to `folder`, or nowhere."""

    browsers: Browsers
    roles: Collection[str]
    folder: Path | None = None
