"""Tells the process that started this one that it is ready (the sd_notify protocol)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def ready() -> None:
    """Send ``READY=1`` and the run to the datagram socket named by ``NOTIFY_SOCKET``; nothing without it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    message = f"READY=1\nHARNESS_RUN={os.environ.get('HARNESS_RUN', '')}\n"
    # Whoever started this process may have stopped listening; being ready does not depend on it.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(message.encode(), address)
