"""Having an image: it is there, or it is pulled while people are told."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.containers.engine import client
from harness.errors import HarnessError, SourceUnusable

BEGINS_WITHIN = 15.0
"""Seconds within which a registry has to begin, and then to go on, with an image."""
_BEGUN = ("Pulling fs layer", "Downloading", "Already exists", "Pull complete", "Status:")


def has_image(address: str, image: str) -> bool:
    """Whether the engine at ``address`` has ``image`` itself."""
    from docker.errors import ImageNotFound

    with client(address) as engine:
        try:
            engine.images.get(image)
        except ImageNotFound:
            return False
    return True


def have_image(address: str, image: str, *, variable: str, tell: Callable[[str], object]) -> None:
    """Return once the engine has ``image``; raises SourceUnusable within seconds if it cannot be had.

    ``variable`` is the one that names another image.
    """
    if has_image(address, image):
        return
    tell(f"Pulling the image {image}...")
    try:
        pull(address, image)
    except HarnessError as error:
        raise SourceUnusable(
            f"The image {image} is not on this machine and cannot be pulled: {_last(str(error))}.",
            hint=f"Set {variable} to an image that is there, or use --services embedded.",
        ) from error


def pull(address: str, image: str, *, begins_within: float = BEGINS_WITHIN) -> None:
    """Pull ``image``; raises HarnessError if the registry refuses, or says nothing of use in time."""
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    deadline = time.monotonic() + begins_within
    begun = False
    with client(address, timeout=begins_within) as engine:
        for event in engine.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if trouble := event.get("error"):
                raise HarnessError(str(trouble))
            begun = begun or str(event.get("status", "")).startswith(_BEGUN)
            if not begun and time.monotonic() > deadline:
                raise HarnessError(f"the registry has not begun within {begins_within:g} s")


def _last(sentence: str) -> str:
    """The cause that stands at the end of an engine's chain of sentences."""
    return sentence.rpartition(": ")[2].strip(" .\"')")
