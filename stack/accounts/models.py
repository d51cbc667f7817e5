from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models.functions import Lower


class User(AbstractUser):
    """Who signs in. What others see of a person is the profile."""

    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="accounts_user_email",
                condition=~models.Q(email=""),
                violation_error_message="A user with that email address already exists.",
            )
        ]

    def get_full_name(self) -> str:
        return self.username

    def get_short_name(self) -> str:
        return self.username


class Profile(models.Model):
    """What others see of a user: oneself and everyone who shares a chat."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="profile"
    )
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    bio = models.TextField(max_length=2000, blank=True)

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or f"profile of user {self.pk}"


class Session(AbstractBaseSession):
    """A browser's session with its user as a column, so that the database knows whose session has ended."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="sessions")

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        from stack.accounts.sessions import SessionStore

        return SessionStore
