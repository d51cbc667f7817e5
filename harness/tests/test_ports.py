from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from harness.errors import PortTaken
from harness.ports import app_port, free_port, is_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_refused_with_the_next_step(taken: int) -> None:
    with pytest.raises(PortTaken, match=str(taken)) as caught:
        app_port(taken, preferred=None)
    assert "--port" in caught.value.hint


def test_a_taken_preference_gives_a_free_port(taken: int) -> None:
    port = app_port(None, preferred=taken)
    assert port != taken
    assert is_free(port)


def test_the_preference_is_taken_when_free() -> None:
    port = free_port()
    assert app_port(None, preferred=port) == port
    assert app_port(port, preferred=None) == port
