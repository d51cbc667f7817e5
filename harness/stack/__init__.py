"""The stack runner: resources, the supervisor that owns them, and the handle on a running stack."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.stack.running import RunningStack, Urls, User, attach
    from harness.stack.start import Progress, StackOptions, start_stack
    from harness.stack.status import ResourceStatus, Snapshot

__all__ = [
    "Progress",
    "ResourceStatus",
    "RunningStack",
    "Snapshot",
    "StackOptions",
    "Urls",
    "User",
    "attach",
    "start_stack",
]

# The supervisor lives in this package and needs none of it; every start waits for what it imports.
_HOMES = {
    "Progress": "harness.stack.start",
    "ResourceStatus": "harness.stack.status",
    "RunningStack": "harness.stack.running",
    "Snapshot": "harness.stack.status",
    "StackOptions": "harness.stack.start",
    "Urls": "harness.stack.running",
    "User": "harness.stack.running",
    "attach": "harness.stack.running",
    "start_stack": "harness.stack.start",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
