"""A deployment that was not started here: whether it is one of this stack, and what it is for by its own account."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from harness.actors.http import trust
from harness.errors import TargetUnusable

ANSWER_WITHIN = 10.0
"""Seconds for each step of the first question to a deployment."""
FOR_TESTS = frozenset({"development", "test"})
PRODUCTION = "production"
_SEE = "Open the address in a browser, or ask whoever runs it."


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A deployment that answered."""

    base: str
    """Its address without a slash at the end."""
    environment: str | None
    """What it says it is for: ``development``, ``test``, ``production``; None if it does not say."""

    @property
    def is_for_tests(self) -> bool:
        """Whether it says itself that it may be written to."""
        return self.environment in FOR_TESTS

    @property
    def told(self) -> str:
        """What it says about itself, in words."""
        return f"says that it is for {self.environment}" if self.environment else "does not say what it is for"


def look_at(url: str) -> Elsewhere:
    """Ask the deployment at `url` what it is. Raises `TargetUnusable` with what is wrong."""
    base = _address(url)
    try:
        with httpx.Client(verify=trust(), trust_env=False, timeout=ANSWER_WITHIN) as client:
            answer = client.get(f"{base}/healthz")
    except httpx.TransportError as error:
        raise _no_answer(base, error) from error
    if answer.is_redirect:
        raise TargetUnusable(
            f"{base} sends its visitors elsewhere (HTTP {answer.status_code}).",
            hint="Give the address that it leads to, such as one that begins with https://.",
        )
    body = _json(answer)
    if answer.status_code != 200 or "status" not in body or "run" not in body:
        raise TargetUnusable(
            f"What answers at {base} is not this stack: /healthz says nothing of the kind (HTTP {answer.status_code}).",
            hint="Give the address of the app itself, without a path.",
        )
    environment = body.get("environment")
    found = Elsewhere(base=base, environment=environment if isinstance(environment, str) else None)
    if found.environment == PRODUCTION and base.startswith("http:") and not _is_here(base):
        raise TargetUnusable(
            f"{base} {found.told}, and passwords would travel there for all to read.",
            hint="Give its address that begins with https://.",
        )
    return found


def _address(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if "@" in url:
        # Not told again: it may hold a password.
        raise TargetUnusable(
            "The address of the target holds a user name or a password, and everybody on this machine can see it.",
            hint="Give the address alone; people sign in with what the file of --users says.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise TargetUnusable(
            f"{url!r} is no address to play against.", hint="It looks like https://stack.example.org, without a path."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


def _no_answer(base: str, error: httpx.TransportError) -> TargetUnusable:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TargetUnusable(
                f"The certificate of {base} is not to be trusted: {cause.verify_message}.",
                hint="If it is signed by an authority of your own, name that one's file: SSL_CERT_FILE=/path/to/ca.pem",
            )
        if isinstance(cause, ssl.SSLError):
            return TargetUnusable(
                f"{base} does not speak TLS as it should: {cause.reason or 'the handshake failed'}.",
                hint="Perhaps its address begins with http://, or the port is another one.",
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return TargetUnusable(f"{base} has not answered within {ANSWER_WITHIN:g} s.", hint=_SEE)
    reason = str(error).strip() or type(error).__name__
    return TargetUnusable(f"{base} can't be reached: {reason}.", hint=_SEE)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _is_here(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
