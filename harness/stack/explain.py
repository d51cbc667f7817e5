"""From a resource that failed to one sentence and the next step."""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import DataUnusable, DiskFull, PlaceUnusable, ServiceDidNotStart, SourceUnusable
from harness.resources import Resource
from harness.stack.status import Failure

LAST_LINES = 20
_FROM_END = 64 * 1024
# What a launcher says as its last line when it ends with one of these codes is the sentence.
_LAUNCHER = {
    error.exit_code: error.__name__
    for error in (DiskFull, DataUnusable, SourceUnusable, PlaceUnusable, ServiceDidNotStart)
}
# How manage.py begins the sentence with which a command refuses.
_REFUSAL = "CommandError: "
_TAKEN = re.compile(r"address already in use|\[Errno 98\]|\[Errno 48\]", re.IGNORECASE)


def tail(log: Path, count: int = LAST_LINES, *, since: int = 0) -> tuple[str, ...]:
    """The last ``count`` lines of a log from byte ``since`` on; none if there is no log."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(since, size - _FROM_END))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ()
    return tuple(text.splitlines()[-count:])


def explain(
    resource: Resource, error: str, reason: str, *, code: int | None, lines: tuple[str, ...], run: str
) -> Failure:
    """The failure of ``resource``: ``error`` (ResourceFailed, NotReady, DiskFull) unless its log knows better."""
    more = f"See all of it with: harness logs {resource.name} --run {run}"
    text = "\n".join(lines)
    if resource.kind == "service" and code in _LAUNCHER and lines:
        return Failure(_LAUNCHER[code], resource.name, lines[-1], more, lines[:-1])
    if resource.kind == "task" and any(line.startswith(_REFUSAL) for line in lines):
        return Failure("ManageFailed", resource.name, _refusal(lines), more, ())
    # A service's launcher may have had no room to say so.
    launcher_full = resource.kind == "service" and code == DiskFull.exit_code
    if error == "DiskFull" or launcher_full or "No space left on device" in text:
        sentence = f"{resource.name} stopped because the disk is full."
        return Failure("DiskFull", resource.name, sentence, f"Free some space. {more}", lines)
    if _TAKEN.search(text):
        where = f" ({resource.url})" if resource.url else ""
        sentence = f"{resource.name} stopped because its port{where} is taken by another program."
        return Failure("PortTaken", resource.name, sentence, f"Try again. {more}", lines)
    if error == "ResourceFailed" and resource.kind == "service":
        error = "ServiceDidNotStart"
    if not resource.command:
        more = "Check that the server is up and that its URL is right."
    return Failure(error, resource.name, f"{resource.name} {reason}.", more, lines)


def _refusal(lines: tuple[str, ...]) -> str:
    begin = max(number for number, line in enumerate(lines) if line.startswith(_REFUSAL))
    return " ".join(line.strip() for line in lines[begin:]).removeprefix(_REFUSAL)
