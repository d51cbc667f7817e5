"""Addresses that nothing may be written to, whoever in this process would like to.

They are remembered here, not handed from one to the next: whoever forgot to hand it on would write.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

READING = frozenset({"GET", "HEAD", "OPTIONS"})
SIGNING = frozenset(
    {
        ("POST", "/api/session"),
        ("DELETE", "/api/session"),
        ("POST", "/admin/login/"),
        ("POST", "/admin/logout/"),
    }
)
"""The only requests besides reading ones that are let through: signing in and out."""

_protected: Counter[str] = Counter()
_changing = threading.Lock()


@contextmanager
def protected(base: str) -> Generator[None]:
    """Within the block nothing is written to the server at `base`: actors are refused, browsers' requests aborted."""
    origin = _origin(base)
    with _changing:
        _protected[origin] += 1
    try:
        yield
    finally:
        with _changing:
            _protected[origin] -= 1


def is_protected(base: str) -> bool:
    """Whether nothing may be written to the server at `base` now."""
    return _protected[_origin(base)] > 0


def refuses(base: str, method: str, path: str) -> bool:
    """Whether this request to the server at `base` would write where nothing may be written.

    `path` may be a whole address, of any server.
    """
    if method.upper() in READING or (method.upper(), urlsplit(path).path) in SIGNING:
        return False
    return is_protected(base) or ("://" in path and is_protected(urljoin(base, path)))


def _origin(base: str) -> str:
    parts = urlsplit(base.lower())
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{_host(parts.hostname or '')}:{parts.port or default}"


def _host(name: str) -> str:
    """One spelling of a host; this machine by any of its own names is the same one."""
    name = name.rstrip(".")
    try:
        here = ipaddress.ip_address(name).is_loopback
    except ValueError:
        here = name == "localhost" or name.endswith(".localhost")
    return "localhost" if here else name
