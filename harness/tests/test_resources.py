from __future__ import annotations

import json

import pytest

from harness.resources import (
    Exit,
    HttpReady,
    KeepState,
    Notify,
    PageReady,
    PostgresLogin,
    Readiness,
    RedisPing,
    Resource,
)


@pytest.mark.parametrize(
    "readiness",
    [
        PostgresLogin("postgres://u:p@127.0.0.1:1/d", data_folder="/data"),
        RedisPing("redis://:p@127.0.0.1:1/0", own=True),
        HttpReady("http://127.0.0.1:1/readyz"),
        PageReady("http://127.0.0.1:1"),
        Notify(),
        Exit(),
    ],
    ids=lambda readiness: str(readiness.type),
)
def test_a_resource_survives_json(readiness: Readiness) -> None:
    resource = Resource(
        name="backend-1",
        kind="process",
        command=("python", "-m", "x"),
        readiness=readiness,
        directory="/",
        environment={"A": "b"},
        endpoints={"http": "http://127.0.0.1:1"},
        depends_on=("prepare",),
        keep_state=KeepState(url="postgres://x", template="seeded", fingerprint="f"),
        inherits=False,
    )
    assert Resource.from_json(json.loads(json.dumps(resource.to_json()))) == resource


def test_the_first_endpoint_is_the_url() -> None:
    bare = Resource(name="a", kind="task", command=("a",), readiness=Exit(), directory="/")
    assert bare.url is None
