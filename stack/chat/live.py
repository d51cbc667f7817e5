from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import F

from stack import live
from stack.chat.models import Chat, ChatMember, Message, ReadMark
from stack.chat.serializers import ChatSerializer, MemberSerializer, MessageSerializer, ReadMarkSerializer


def by_member(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A changed member touches who sees that user's profile, and whose profiles that user sees."""
    return [{"user_id": row["user_id"]}, {"viewer": row["user_id"]}]


def no_pair(_row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A chat without members joins nobody, and its members' own rows tell when they come and go."""
    return []


live.register(Chat, serializer=ChatSerializer, scope="chat:{id}")
live.register(ChatMember, name="member", serializer=MemberSerializer, scope="chat:{chat_id}")
live.register(Message, serializer=MessageSerializer, scope="chat:{chat_id}", window=50, order="number")
live.register(ReadMark, serializer=ReadMarkSerializer, scope="user:{user_id}")
live.membership("chat:{chat_id}", ChatMember.objects.values("chat_id", viewer=F("user_id")))
live.membership(
    "profile:{user_id}",
    ChatMember.objects.values("user_id", viewer=F("chat__members__user_id")),
    narrow={ChatMember: by_member, Chat: no_pair},
)
live.signal("typing", scope="chat:{chat_id}")
live.presence("chat:{chat_id}")
