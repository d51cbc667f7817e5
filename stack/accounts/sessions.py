"""The session engine: Django's database sessions, with the user as a column."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore
from django.contrib.sessions.base_session import AbstractBaseSession


class SessionStore(DatabaseSessionStore):
    """Keeps sessions in ``accounts.Session``."""

    @classmethod
    def get_model_class(cls) -> type[AbstractBaseSession]:
        from stack.accounts.models import Session

        return Session

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        from stack.accounts.models import Session

        instance = super().create_model_instance(data)
        assert isinstance(instance, Session)
        user_id = data.get(SESSION_KEY)
        instance.user_id = int(user_id) if user_id else None
        return instance
