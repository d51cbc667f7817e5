"""Many chats with a past, as years of use would leave them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from django.db import transaction

from stack.chat.models import MOST_MEMBERS, Chat, ChatMember, Message, ReadMark
from stack.chat.phrases import TITLES, write

NAMESPACE = uuid.UUID("0d0e5f5c-6a53-5b52-8f0c-3a1f6f0d5a90")
LONGEST_PAST = timedelta(weeks=8)
BATCH = 2000
_ATTEMPTS = 20
_SIZES = ((0.45, 2, 2), (0.35, 3, 6), (0.15, 7, 15), (0.05, 16, 40))
"""Share of the chats, fewest and most members."""


@dataclass(frozen=True)
class Draft:
    """A chat that is to be: its members by user id, the owner first, and how many messages it has."""

    members: tuple[int, ...]
    title: str
    messages: int


@transaction.atomic
def crowd_chats_create(
    *, known: Sequence[int], others: Sequence[int], chats: int, messages: int, random: Random, until: datetime
) -> list[Chat]:
    """Make chats with talks that lasted for days or weeks, of which some went on until a moment ago.

    Numbers, members, marks and times are what sending one by one would have left: whoever wrote has read up to there,
    many have read all, some are behind and some never looked.

    Args:
        known: ids of the users whom people sign in as: they are in most of the chats.
        others: ids of the users who fill the chats up.
        until: when the newest message was sent, at the latest.
    """
    counts = _shares(messages, chats, random)
    drafts = _drafts(known, others, counts, random)
    spans = [_span(random, until) for _ in drafts]
    made = Chat.objects.bulk_create(
        (
            Chat(title=draft.title, last_number=draft.messages, created_at=began)
            for draft, (began, _ended) in zip(drafts, spans, strict=True)
        ),
        batch_size=BATCH,
    )
    members: list[ChatMember] = []
    sent: list[Message] = []
    marks: list[ReadMark] = []
    for chat, draft, (began, ended) in zip(made, drafts, spans, strict=True):
        members += (
            ChatMember(
                chat=chat,
                user_id=user,
                role=ChatMember.Role.MEMBER if place else ChatMember.Role.OWNER,
                joined_at=began,
            )
            for place, user in enumerate(draft.members)
        )
        talk = _talk(chat, draft, began, ended, random)
        sent += talk
        marks += _marks(chat, draft, talk, random)
    ChatMember.objects.bulk_create(members, batch_size=BATCH)
    Message.objects.bulk_create(sent, batch_size=BATCH)
    ReadMark.objects.bulk_create(marks, batch_size=BATCH)
    return made


def _shares(total: int, parts: int, random: Random) -> list[int]:
    """Split a number into parts of very different sizes; none is empty where that can be."""
    least = 1 if total >= parts else 0
    weights = [random.lognormvariate(0, 0.9) for _ in range(parts)]
    rest = total - least * parts
    shares = [least + int(rest * weight / sum(weights)) for weight in weights]
    for place in random.choices(range(parts), k=total - sum(shares)):
        shares[place] += 1
    return shares


def _drafts(known: Sequence[int], others: Sequence[int], counts: Sequence[int], random: Random) -> list[Draft]:
    """Two people have one untitled chat between them, as long as there are enough pairs."""
    drafts: list[Draft] = []
    pairs: set[frozenset[int]] = set()
    for messages in counts:
        draft = _draft(known, others, messages, random)
        for _ in range(_ATTEMPTS):
            if len(draft.members) > 2 or frozenset(draft.members) not in pairs:
                break
            draft = _draft(known, others, messages, random)
        pairs.add(frozenset(draft.members))
        drafts.append(draft)
    return drafts


def _draft(known: Sequence[int], others: Sequence[int], messages: int, random: Random) -> Draft:
    _share, fewest, most = random.choices(_SIZES, [share for share, _, _ in _SIZES])[0]
    size = min(random.randint(fewest, most), MOST_MEMBERS, len(known) + len(others))
    familiar = min(random.choice((0, 1, 1, 1, 1, 2, 3)), size - 1, len(known))
    strangers = random.sample(others, min(size - familiar, len(others)))
    left = size - len(strangers)
    members = [*random.sample(known, left), *strangers]
    random.shuffle(members)
    title = random.choice(TITLES) if size > 2 and random.random() < 0.8 else ""
    return Draft(tuple(members), title, messages)


def _span(random: Random, until: datetime) -> tuple[datetime, datetime]:
    """When a chat began, and when its last message was sent."""
    ended = until - random.choice((0, 0.001, 0.02, 0.2)) * random.random() * LONGEST_PAST
    return ended - random.uniform(0.02, 0.8) * LONGEST_PAST, ended


def _talk(chat: Chat, draft: Draft, began: datetime, ended: datetime, random: Random) -> list[Message]:
    """Some members talk much, some not at all; answers come within minutes, then nothing for a day."""
    talkative = random.sample(draft.members, random.randint(min(2, len(draft.members)), min(9, len(draft.members))))
    share = [random.random() + 0.1 for _ in talkative]
    pauses = [random.lognormvariate(0, 2) for _ in range(draft.messages)]
    passed, whole, talk = 0.0, sum(pauses), []
    for number, pause in enumerate(pauses, start=1):
        passed += pause
        talk.append(
            Message(
                chat=chat,
                sender_id=random.choices(talkative, share)[0],
                client_id=uuid.uuid5(NAMESPACE, f"{chat.pk} {number}"),
                number=number,
                text=write(random),
                created_at=began + min(1.0, passed / whole) * (ended - began),
            )
        )
    return talk


def _marks(chat: Chat, draft: Draft, talk: Sequence[Message], random: Random) -> list[ReadMark]:
    own = {message.sender_id: message.number for message in talk}
    marks = []
    for user in draft.members:
        least = own.get(user, 0)
        read = random.choices((draft.messages, random.randint(least, draft.messages), least), (0.55, 0.35, 0.10))[0]
        if read:
            marks.append(ReadMark(chat=chat, user_id=user, number=read))
    return marks
