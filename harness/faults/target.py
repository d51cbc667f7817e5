"""What a proxy stands in front of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

CONTROL = "faults"
"""The name of the proxies' control socket, in the folder of the run's other sockets."""


@dataclass(frozen=True)
class Target:
    """Clients of ``name`` connect to ``port`` on loopback; what they say goes to ``to_port`` of ``to_host``."""

    name: str
    port: int
    to_host: str
    to_port: int


def to_argument(targets: Iterable[Target]) -> str:
    """The targets for a command line; there is no secret in them."""
    return json.dumps([asdict(target) for target in targets])


def from_argument(argument: str) -> tuple[Target, ...]:
    """The inverse of ``to_argument``."""
    return tuple(Target(**record) for record in json.loads(argument))
