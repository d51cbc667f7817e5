from __future__ import annotations

from django.db import connection
from django.db.models import QuerySet

from stack.accounts.models import Profile, User
from stack.live.memberships import scopes_of
from stack.live.scopes import ScopeTemplate

MOST_PEOPLE = 50


def profile_of(user_id: int) -> Profile:
    """The user's profile; a blank one for users that were made without, such as by ``createsuperuser``."""
    return Profile.objects.filter(pk=user_id).first() or Profile(user_id=user_id)


def profiles_visible_to(user_id: int) -> QuerySet[Profile]:
    """The profiles whose scope the user sees: the own one, and of all who share something with the user."""
    template = ScopeTemplate("profile:{user_id}")
    with connection.cursor() as cursor:
        scopes = scopes_of(cursor, user_id)
    ids = [int(values[0]) for scope in scopes if (values := template.parse(scope)) is not None]
    return Profile.objects.filter(pk__in=ids).order_by("pk")


def people(*, search: str = "") -> QuerySet[User]:
    """At most 50 active users whose name holds the text, by name."""
    found = User.objects.filter(is_active=True)
    if search:
        found = found.filter(username__icontains=search)
    return found.order_by("username")[:MOST_PEOPLE]
