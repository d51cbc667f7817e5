from __future__ import annotations

import hashlib

from django.core.cache import caches
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
        digest = hashlib.sha256(str(name).strip().casefold().encode(errors="replace")).hexdigest()
        return f"{super().get_cache_key(request, view)}_{digest}"
