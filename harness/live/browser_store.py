"""The store of the app in a browser as the store that the harness knows."""

from __future__ import annotations

import json
from typing import Any

from harness.live.store import JSON, LiveStore, Window


def store_of(state: str) -> LiveStore:
    """The content of the app's store, given the live part of its state as JSON.

    Raises:
        ValueError: it is no such state.
    """
    try:
        live: JSON = json.loads(state)
        return LiveStore(
            user=live["user"],
            epoch=live["epoch"],
            seq=live["seq"],
            orders=live["orders"],
            windows={scope: _window(window) for scope, window in live["windows"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"This is no state of the app's live store: {type(error).__name__} {error}.") from error


def _window(window: Any) -> Window:
    entities = {(type_, row["id"]): row for type_, rows in window["entities"].items() for row in rows.values()}
    return Window(at=window["at"], bounds=dict(window["bounds"]), entities=entities, stale=bool(window["stale"]))
