"""Free TCP ports on loopback."""

from __future__ import annotations

import random
import socket

from harness.errors import PortTaken

# Below the ranges from which systems pick ports for outgoing connections: a server that is restarted
# finds its port still free.
_RANGE = range(20_000, 30_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody listens on; picked at random so that runs started together do not meet."""
    # Not random's shared generator: tests seed that one, and then every run would pick the same ports.
    for port in random.SystemRandom().sample(_RANGE, 200):
        if is_free(port):
            return port
    raise PortTaken("No free port was found between 20000 and 29999.", hint="End programs that listen there.")


def app_port(wanted: int | None, *, preferred: int | None) -> int:
    """The application's port: ``wanted`` or an error, else ``preferred`` if free, else a free one."""
    if wanted is not None:
        if not is_free(wanted):
            raise PortTaken(
                f"Port {wanted} is taken by another program.",
                hint="Choose another with --port, or leave --port out to get a free one.",
            )
        return wanted
    if preferred is not None and is_free(preferred):
        return preferred
    return free_port()
