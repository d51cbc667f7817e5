from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.live import frames
from stack.live.frames import Close, ProtocolError
from stack.live.log import LogEntry

VECTORS = json.loads((Path(__file__).parents[3] / "docs" / "live-vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["client_frames"], ids=lambda vector: vector["text"] or "empty")
def test_vector(vector: dict[str, Any]) -> None:
    if vector.get("accepted"):
        frames.parse(vector["text"])
        return
    with pytest.raises(ProtocolError) as raised:
        frames.parse(vector["text"])
    assert raised.value.code == vector["code"]


def test_binary_frames_are_malformed() -> None:
    with pytest.raises(ProtocolError) as raised:
        frames.parse(None)
    assert raised.value.code is Close.MALFORMED


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
json_values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=8), scalars, max_size=3)
near_frames = st.fixed_dictionaries(
    {"type": st.sampled_from(["hello", "load", "page", "signal", "other"])},
    optional=dict.fromkeys(("id", "cursor", "scope", "entity", "before", "signal"), json_values),
)


@given(st.text() | json_values.map(json.dumps) | near_frames.map(json.dumps))
def test_whatever_comes_is_a_frame_or_a_protocol_error(text: str) -> None:
    with suppress(ProtocolError):
        frames.parse(text)


def test_deep_nesting_is_malformed() -> None:
    with pytest.raises(ProtocolError):
        frames.parse('{"type":' + "[" * 30_000)


def test_clients_are_not_told_which_session_ends() -> None:
    ops = '[{"op":"close","session":"digest"},{"op":"leave","scope":"chat:1"}]'
    text = frames.event(LogEntry(5, "user:7", 4, ops, control=True))
    assert json.loads(text)["ops"] == [{"op": "leave", "scope": "chat:1"}]
    assert "digest" not in text


def test_what_is_of_the_moment_is_said_as_the_vectors_have_it() -> None:
    said = [frame for v in VECTORS["conversations"] for step in v["steps"] for frame in step.get("says", ())]
    signals = [frame for frame in said if frame["type"] == "signal"]
    presences = [frame for frame in said if frame["type"] == "presence"]
    assert signals
    assert presences
    for frame in signals:
        assert json.loads(frames.signal(frame["scope"], frame["signal"], frame["user"])) == frame
    for frame in presences:
        scopes = {scope: frames.present(p["count"], p["users"]) for scope, p in frame["scopes"].items()}
        assert json.loads(frames.presence(scopes)) == frame


@given(st.text())
def test_any_scope_and_data_survive_the_encoding(text: str) -> None:
    entry = LogEntry(5, text, 4, json.dumps([{"op": "upsert", "data": {"text": text}}]), control=False)
    frame = json.loads(frames.event(entry))
    assert (frame["scope"], frame["ops"][0]["data"]["text"]) == (text, text)
