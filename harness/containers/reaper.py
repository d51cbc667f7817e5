"""Ryuk, which removes what a killed process had started: used where its image is at hand.

It adds to labels and watchdog, so nothing waits for it and nothing fails without it.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from harness.containers.images import has_image, pull
from harness.errors import HarnessError

_PULLED_WITHIN = 3.0
_STARTED_WITHIN = 5.0
_ASK_AGAIN_AFTER = 24 * 3600.0


def start(address: str, cache: Path) -> bool:
    """Start Ryuk for this process at the engine ``address``, listening on loopback alone; whether it runs.

    Whether a registry has its image is asked once a day, noted in ``cache``.
    """
    from testcontainers.core import container as library
    from testcontainers.core.config import testcontainers_config as settings

    if settings.ryuk_disabled or not _at_hand(address, settings.ryuk_image, cache):
        return False

    class OnLoopback(library.DockerContainer):
        def with_exposed_ports(self, *ports: str | int) -> Self:
            for port in ports:
                chosen: Any = ("127.0.0.1",)
                self.ports[f"{port}/tcp"] = chosen
            return self

    # It would listen on all addresses, and obeys whoever connects.
    usual = library.DockerContainer
    library.DockerContainer = OnLoopback  # type: ignore[misc]  # a class, replaced for a moment
    # It tries for a minute to connect. Whatever keeps it from starting, the server starts without it.
    starting = threading.Thread(target=_start, name="ryuk", daemon=True)
    starting.start()
    starting.join(_STARTED_WITHIN)
    library.DockerContainer = usual  # type: ignore[misc]  # and put back
    return library.Reaper._instance is not None


def _start() -> None:
    from testcontainers.core.container import Reaper

    try:
        Reaper.get_instance()
    except Exception as error:
        sys.stdout.write(f"Ryuk does not run: {error}\n")
        stop()


def stop() -> None:
    """Let go of Ryuk if it was started."""
    from testcontainers.core.container import Reaper

    Reaper.delete_instance()


def _at_hand(address: str, image: str, cache: Path) -> bool:
    if has_image(address, image):
        return True
    asked = cache / "ryuk-not-found"
    try:
        if time.time() - asked.stat().st_mtime < _ASK_AGAIN_AFTER:
            return False
    except FileNotFoundError:
        pass
    try:
        pull(address, image, begins_within=_PULLED_WITHIN)
    except HarnessError:
        cache.mkdir(parents=True, exist_ok=True)
        asked.touch()
        return False
    return True
