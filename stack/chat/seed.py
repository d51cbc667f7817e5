"""Direct chats between people, with a few messages each."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from stack.chat.models import Chat, ChatMember, Message

NAMESPACE = uuid.UUID("6f6a3c52-0b51-5f0e-9d2b-6c3c1b1a7e11")
LINES = (
    "Hi {other}, are you coming to the hackathon?",
    "Sure, {other}! I'll bring the stickers.",
    "Great, see you there.",
)


@dataclass(frozen=True)
class Person:
    """A user, by id and user name."""

    id: int
    name: str


@transaction.atomic
def seed_direct_chats(pairs: Sequence[tuple[Person, Person]]) -> list[Chat]:
    """Make a chat of each two people, owned by the first, in which they take turns with fixed texts."""
    chats = Chat.objects.bulk_create(Chat(last_number=len(LINES)) for _ in pairs)
    members, messages = [], []
    for chat, (first, second) in zip(chats, pairs, strict=True):
        members.append(ChatMember(chat=chat, user_id=first.id, role=ChatMember.Role.OWNER))
        members.append(ChatMember(chat=chat, user_id=second.id))
        for number, line in enumerate(LINES, start=1):
            sender, other = (first, second) if number % 2 else (second, first)
            messages.append(
                Message(
                    chat=chat,
                    sender_id=sender.id,
                    client_id=uuid.uuid5(NAMESPACE, f"{first.name} {second.name} {number}"),
                    number=number,
                    text=line.format(other=other.name.capitalize()),
                )
            )
    ChatMember.objects.bulk_create(members)
    Message.objects.bulk_create(messages)
    return chats
