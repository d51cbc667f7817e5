from __future__ import annotations

from django.db.models import F

from stack import live
from stack.accounts.models import Profile, Session, User
from stack.accounts.serializers import AccountSerializer, ProfileSerializer

live.register(User, name="account", serializer=AccountSerializer, scope="user:{id}")
live.register(Profile, serializer=ProfileSerializer, scope="profile:{user_id}")
live.membership("profile:{user_id}", Profile.objects.values("user_id", viewer=F("user_id")))
live.sign_in(Session, user="user_id", session="session_key", expires="expire_date")
live.sign_in(User, user="id", columns=["password", "is_active"])
