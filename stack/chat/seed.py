"""Direct chats between people who have known each other for a while: different ones, at different times."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from stack.chat.models import Chat, ChatMember, Message, ReadMark

NAMESPACE = uuid.UUID("6f6a3c52-0b51-5f0e-9d2b-6c3c1b1a7e11")
TALKS = (
    (
        "Hi {other}, are you coming to the hackathon?",
        "Sure, {other}! I'll bring the stickers.",
        "Great. We have a table near the stage.",
        "With power sockets?",
        "Four of them. First come, first served.",
    ),
    (
        "Did the deployment go through?",
        "Green since seven. I slept like a stone.",
        "Then the demo is safe. Thank you!",
    ),
    (
        "Lunch at noon?",
        "Make it half past, I'm in the middle of something.",
        "Noodles or bread?",
        "Noodles. Always noodles.",
    ),
    (
        "I read your notes on the sync engine.",
        "And? Be honest, {other}.",
        "The part about gaps is the best explanation I have seen.",
        "It took three attempts to write.",
        "It shows, in the good way.",
        "Come by tomorrow, I'll show you the rest of it.",
    ),
    (
        "My train is late again.",
        "How late?",
        "They stopped saying. Start without me, I'll join from the phone.",
    ),
    (
        "Can you look at the colours of the dark theme?",
        "Looks calm. I would make the links a bit lighter.",
        "Done. Better?",
        "Much better.",
    ),
    (
        "Who takes the first five minutes on stage?",
        "You do, {other}. I press the buttons.",
    ),
)
LINE_EVERY = timedelta(minutes=3)


@dataclass(frozen=True)
class Person:
    """A user, by id and user name."""

    id: int
    name: str


@transaction.atomic
def seed_direct_chats(pairs: Sequence[tuple[Person, Person]]) -> list[Chat]:
    """Make a chat of each two people, owned by the first, in which they take turns with fixed texts.

    The talks ended between some minutes and some days ago. Each has read what came before the own last words, and
    in two of three chats all of it.
    """
    talks = [TALKS[number % len(TALKS)] for number in range(len(pairs))]
    chats = Chat.objects.bulk_create(Chat(last_number=len(talk)) for talk in talks)
    members, messages, marks = [], [], []
    for place, (chat, (first, second), talk) in enumerate(zip(chats, pairs, talks, strict=True)):
        members.append(ChatMember(chat=chat, user_id=first.id, role=ChatMember.Role.OWNER))
        members.append(ChatMember(chat=chat, user_id=second.id))
        ended = timezone.now() - timedelta(minutes=7 + 11 * place * place)
        for number, line in enumerate(talk, start=1):
            sender, other = (first, second) if number % 2 else (second, first)
            messages.append(
                Message(
                    chat=chat,
                    sender_id=sender.id,
                    client_id=uuid.uuid5(NAMESPACE, f"{first.name} {second.name} {number}"),
                    number=number,
                    text=line.format(other=other.name.capitalize()),
                    created_at=ended - LINE_EVERY * (len(talk) - number),
                )
            )
        read = len(talk) if place % 3 else len(talk) - 1
        last, waiting = (first, second) if len(talk) % 2 else (second, first)
        marks += [
            ReadMark(chat=chat, user_id=last.id, number=len(talk)),
            ReadMark(chat=chat, user_id=waiting.id, number=read),
        ]
    ChatMember.objects.bulk_create(members)
    Message.objects.bulk_create(messages)
    ReadMark.objects.bulk_create(marks)
    return chats
