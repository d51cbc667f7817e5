from __future__ import annotations

from django.db.models import Prefetch, QuerySet

from stack.chat import errors
from stack.chat.models import Chat, ChatMember, Message

PAGE = 50


def chats_of(user_id: int) -> QuerySet[Chat]:
    """The chats a user is in, oldest first, with their members."""
    members = Prefetch("members", ChatMember.objects.order_by("pk"))
    return Chat.objects.filter(members__user_id=user_id).prefetch_related(members).order_by("pk")


def chat_of(user_id: int, chat_id: int) -> Chat:
    """One of the chats a user is in.

    Raises:
        NotFound: no such chat, or the user is not in it; the two look the same.
    """
    chat = chats_of(user_id).filter(pk=chat_id).first()
    if chat is None:
        raise errors.NotFound
    return chat


def require_member(user_id: int, chat_id: int) -> None:
    """
    Raises:
        NotFound: no such chat, or the user is not in it.
    """
    if not ChatMember.objects.filter(chat_id=chat_id, user_id=user_id).exists():
        raise errors.NotFound


def messages_before(chat_id: int, *, before: int | None = None) -> QuerySet[Message]:
    """The newest 50 messages of a chat, or the newest 50 below a number; newest first."""
    messages = Message.objects.filter(chat_id=chat_id)
    if before is not None:
        messages = messages.filter(number__lt=before)
    return messages.order_by("-number")[:PAGE]
