"""Who asks."""

from __future__ import annotations

from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request


def viewer_id(request: Request) -> int:
    """Return the id of the user who is signed in.

    Raises:
        NotAuthenticated: nobody is.
    """
    if request.user.pk is None:
        raise NotAuthenticated
    return request.user.pk
