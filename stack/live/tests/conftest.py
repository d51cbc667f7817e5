from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.live import signals
from stack.live.registry import Registry
from stack.live.scopes import ScopeTemplate


@pytest.fixture(scope="module")
def rooms() -> Iterator[None]:
    """Scopes such as ``room:1`` have presence, and the signal ``typing``."""
    room = ScopeTemplate("room:{id}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "registry", Registry(signals={"typing": [room]}, presences=[room]))
        yield
