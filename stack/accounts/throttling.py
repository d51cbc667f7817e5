from __future__ import annotations

import hashlib
import math
import unicodedata

from django.core.cache import caches
from django.http import HttpRequest
from redis import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView


class SignInAddressThrottle(SimpleRateThrottle):
    """Counts sign-ins from one address."""

    scope = "sign_in_address"

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except RedisError:
            # People can sign in while Redis is away, and each process still counts.
            self.cache = caches["process"]
            return super().allow_request(request, view)

    def get_cache_key(self, request: Request, view: APIView) -> str:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class SignInThrottle(SignInAddressThrottle):
    """Counts sign-ins as one user name from one address."""

    scope = "sign_in"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        name = request.data.get("username") if isinstance(request.data, dict) else None
        # As the name is read when signing in, so that no other spelling of it counts anew.
        read = unicodedata.normalize("NFKC", str(name).strip()).casefold()
        digest = hashlib.sha256(read.encode(errors="replace")).hexdigest()
        return f"{super().get_cache_key(request, view)}_{digest}"


THROTTLES = (SignInThrottle, SignInAddressThrottle)
"""What every way to sign in with a password passes."""


def admit(request: HttpRequest) -> int | None:
    """Count a sign-in by a form, together with those that come through the API.

    Returns:
        None if it may go on, else the seconds to wait, at least 1.
    """
    form = _Form(request)
    # Each counts, also after another one has refused.
    refusing = [throttle for kind in THROTTLES if not (throttle := kind()).allow_request(form, APIView())]
    return max((math.ceil(throttle.wait() or 1) for throttle in refusing), default=None)


class _Form(Request):
    """A posted form that Django has read already, for what looks at the data of an API request."""

    @property
    def data(self) -> dict[str, str]:
        return self._request.POST.dict()
