"""An actor's HTTP side: a browser's session cookie, CSRF token and Origin header on a plain client."""

from __future__ import annotations

import functools
import re
import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import httpx

from harness import safety
from harness.actors.errors import Refused, Unreachable, WriteRefused

TIMEOUT = 15.0
# A kept connection may be closed by the server at the moment it is used again, and no answer comes.
LIMITS = httpx.Limits(max_keepalive_connections=0)
SESSION_COOKIE = "sessionid"
CSRF_COOKIE = "csrftoken"
HOST_PREFIX = "__Host-"
"""What a server that is only reached by TLS may put before a cookie's name."""
MAX_REDIRECTS = 5


class RequestObserver(Protocol):
    """Is told of every request."""

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        """A request ended after `ms` milliseconds; `name` is its path without ids."""


class Http:
    """One person's browser session with one server; every request is timed and told to the observer."""

    def __init__(self, base: str, *, observer: RequestObserver, timeout: float = TIMEOUT) -> None:
        """`base`: address of the server without a trailing slash; `timeout`: seconds for each answer."""
        self.base = base.rstrip("/")
        self._observer = observer
        # The servers are local: a proxy from the environment would only be in the way.
        self._client = httpx.Client(base_url=self.base, timeout=timeout, limits=LIMITS, verify=trust(), trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._client.cookies.jar}

    @property
    def session(self) -> dict[str, str]:
        """The session's cookie under the name that the server gave it; empty before there is one."""
        return self._cookie(SESSION_COOKIE)

    def use_session(self, key: str) -> None:
        """Go on with a session that was made elsewhere."""
        parts = urlsplit(self.base)
        name = f"{HOST_PREFIX}{SESSION_COOKIE}" if parts.scheme == "https" else SESSION_COOKIE
        host = parts.hostname or ""
        # As the cookie jar itself calls a host without a dot: so the server can replace and delete the cookie.
        domain = host if "." in host else f"{host}.local"
        self._client.cookies.set(name, key, domain=domain)

    def json(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the API; the decoded answer, None if it is empty. Raises `Refused` and `Unreachable`."""
        response = self.send(method, path, json=body)
        if response.status_code >= 400:
            raise Refused(f"{method} {path}: {_problem(response)}", status=response.status_code)
        return response.json() if response.content else None

    def page(self, path: str) -> httpx.Response:
        """Open a page and follow its redirects."""
        return self._followed(self.send("GET", path))

    def submit(self, path: str, fields: Mapping[str, Any]) -> httpx.Response:
        """Send a form and follow the redirect that answers it."""
        return self._followed(self.send("POST", path, data=fields))

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """One request as the browser sends it.

        Raises `Unreachable` if no answer comes, `WriteRefused` where nothing may be written.
        """
        if safety.refuses(self.base, method, path):
            raise WriteRefused(method, anonymous(path))
        headers = {}
        if method not in ("GET", "HEAD"):
            headers = {"Origin": self.base, "Referer": f"{self.base}/"}
            for token in self._cookie(CSRF_COOKIE).values():
                headers["X-CSRFToken"] = token
        began = time.perf_counter()
        error: str | None = None
        try:
            response = self._client.request(method, path, json=json, data=data, headers=headers)
            if response.status_code >= 400:
                error = f"HTTP {response.status_code}"
            return response
        except httpx.TransportError as failure:
            error = type(failure).__name__
            raise Unreachable(f"{method} {self.base}{path}: no answer ({error}: {failure}).") from failure
        finally:
            self._observer.request(method, anonymous(path), (time.perf_counter() - began) * 1000, error)

    def close(self) -> None:
        self._client.close()

    def _cookie(self, name: str) -> dict[str, str]:
        cookies = self.cookies
        found = next((full for full in (f"{HOST_PREFIX}{name}", name) if cookies.get(full)), None)
        return {} if found is None else {found: cookies[found]}

    def _followed(self, response: httpx.Response) -> httpx.Response:
        for _ in range(MAX_REDIRECTS):
            if response.next_request is None:
                return response
            response = self.send("GET", response.next_request.url.raw_path.decode("ascii"))
        raise Refused(f"{response.url.path}: too many redirects", status=response.status_code)


@functools.cache
def trust() -> ssl.SSLContext:
    """Whose certificates are trusted: the machine's choice, or that of SSL_CERT_FILE."""
    # Reading the certificates takes longer than a request.
    return ssl.create_default_context()


def anonymous(path: str) -> str:
    """A path by which requests are counted together: no query, ids replaced."""
    return re.sub(r"/\d+(?=/|$)", "/:id", path.partition("?")[0])


def _problem(response: httpx.Response) -> str:
    try:
        problem = response.json()
    except ValueError:
        return f"HTTP {response.status_code}: {response.text[:200]}"
    if not isinstance(problem, dict):
        return f"HTTP {response.status_code}: {problem}"
    details = problem.get("errors") or problem.get("detail") or problem.get("title") or problem
    return f"HTTP {response.status_code}: {details}"
