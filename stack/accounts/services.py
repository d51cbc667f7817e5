from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.db import transaction
from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed

from stack.accounts.models import Profile, Session, User


class WrongCredentials(AuthenticationFailed):
    """Never says whether the name exists, the password is wrong or the account is disabled."""

    default_code = "wrong_credentials"
    default_detail = "Wrong user name or password."


@transaction.atomic
def user_create(
    *,
    username: str,
    password: str | None,
    email: str = "",
    first_name: str = "",
    last_name: str = "",
    is_admin: bool = False,
) -> User:
    """Create a user and the profile that belongs to it; without a password nobody can sign in by one."""
    user: User = User.objects.create_user(
        username, email=email, password=password, is_staff=is_admin, is_superuser=is_admin
    )
    Profile.objects.create(user=user, first_name=first_name, last_name=last_name)
    return user


def profile_update(*, user_id: int, **fields: str) -> Profile:
    """Write the given fields of a user's profile."""
    profile, _ = Profile.objects.update_or_create(user_id=user_id, defaults=fields)
    return profile


@transaction.atomic
def user_set_active(*, user_id: int, active: bool) -> None:
    """Enable or disable a user; all its sessions end either way."""
    User.objects.filter(pk=user_id).update(is_active=active)
    # Django refuses the sessions of the disabled, but keeps them, and a sign-in at that moment may have added one:
    # neither may come back to life.
    sign_out_everywhere(user_ids=[user_id])


def sign_in(request: HttpRequest, *, username: str, password: str) -> User:
    """Begin a new session, so that a key known to someone before is worth nothing.

    Raises:
        WrongCredentials: the name and password do not sign anyone in.
    """
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        raise WrongCredentials
    before = request.session.session_key
    login(request, user)
    if request.session.session_key == before:
        # Django keeps the key for a user who was signed in already.
        request.session.cycle_key()
    return user


def sign_out(request: HttpRequest) -> None:
    """End the session; its sockets close."""
    logout(request)


def sign_out_everywhere(*, user_ids: list[Any]) -> int:
    """End all sessions of these users; their sockets close.

    Returns:
        How many sessions there were.
    """
    count, _ = Session.objects.filter(user_id__in=user_ids).delete()
    return count
