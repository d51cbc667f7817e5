from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from stack.chat import errors
from stack.chat.models import MOST_MEMBERS, Chat, ChatMember, Message, ReadMark

RAISE_MARK = """
    INSERT INTO chat_readmark AS mark (user_id, chat_id, number) VALUES (%s, %s, %s)
    ON CONFLICT (user_id, chat_id) DO UPDATE SET number = EXCLUDED.number WHERE mark.number < EXCLUDED.number
"""


@transaction.atomic
def chat_create(*, owner_id: int, title: str = "", member_ids: Iterable[int] = ()) -> Chat:
    """Create a chat of its owner and these users.

    Raises:
        TooManyMembers: with its owner they are more than 50.
        UnknownUsers: one of them does not exist or is disabled.
    """
    others = set(member_ids) - {owner_id}
    if len(others) >= MOST_MEMBERS:
        raise errors.TooManyMembers
    _require_active(others)
    chat = Chat.objects.create(title=title)
    ChatMember.objects.bulk_create(
        [
            ChatMember(chat=chat, user_id=owner_id, role=ChatMember.Role.OWNER),
            *(ChatMember(chat=chat, user_id=user_id) for user_id in sorted(others)),
        ]
    )
    return chat


def chat_rename(*, chat_id: int, by: int, title: str) -> Chat:
    """Give the chat another title; only its owner may."""
    _require_owner(chat_id, by)
    if not Chat.objects.filter(pk=chat_id).update(title=title):
        raise errors.NotFound
    return Chat.objects.get(pk=chat_id)


@transaction.atomic
def chat_delete(*, chat_id: int, by: int) -> None:
    """Delete the chat and all that is in it; only its owner may."""
    # Before anything is deleted: what others wrote into it meanwhile would keep the chat from going.
    _lock(chat_id)
    _require_owner(chat_id, by)
    Chat.objects.filter(pk=chat_id).delete()


@transaction.atomic
def member_add(*, chat_id: int, by: int, user_id: int) -> tuple[ChatMember, bool]:
    """Add a user; only the chat's owner may.

    Returns:
        The member, and whether it is new.

    Raises:
        UnknownUsers: the user does not exist or is disabled.
        TooManyMembers: the chat has 50 members already.
    """
    _lock(chat_id)
    _require_owner(chat_id, by)
    _require_active({user_id})
    members = ChatMember.objects.filter(chat_id=chat_id)
    if (member := members.filter(user_id=user_id).first()) is not None:
        return member, False
    if members.count() >= MOST_MEMBERS:
        raise errors.TooManyMembers
    # Something other than this service may add the same user, without the chat's lock.
    return ChatMember.objects.get_or_create(chat_id=chat_id, user_id=user_id)


@transaction.atomic
def member_remove(*, chat_id: int, by: int, user_id: int) -> None:
    """Remove a member and its read mark; the owner may remove others, everyone else oneself.

    Raises:
        OwnerStays: the owner can't leave.
    """
    # The same lock as sending takes: who has been removed can't send any more.
    _lock(chat_id)
    if user_id != by:
        _require_owner(chat_id, by)
    member = ChatMember.objects.filter(chat_id=chat_id, user_id=user_id).first()
    if member is None:
        raise errors.NotFound
    if member.role == ChatMember.Role.OWNER:
        raise errors.OwnerStays
    ReadMark.objects.filter(chat_id=chat_id, user_id=user_id).delete()
    member.delete()


def message_send(*, chat_id: int, sender_id: int, client_id: UUID, text: str) -> tuple[Message, bool]:
    """Send a message once, however often this is called with the same sender and ``client_id``.

    The sender has then read the chat up to it.

    Args:
        text: 1 to 10,000 characters.

    Returns:
        The message, and whether this call made it.

    Raises:
        NotFound: the sender is no member.
        ClientIdTaken: the sender used the id for another text or in another chat.
    """
    try:
        with transaction.atomic():
            chat = _lock(chat_id)
            _require_member(chat_id, sender_id)
            if (earlier := _sent(sender_id, client_id)) is None:
                message = Message.objects.create(
                    chat_id=chat_id,
                    sender_id=sender_id,
                    client_id=client_id,
                    number=_next_number(chat),
                    text=text,
                )
                # Who writes into a chat has it before them.
                _raise_mark(sender_id, chat_id, message.number)
                return message, True
    except IntegrityError:
        # The same id went to another chat at the same moment.
        earlier = _sent(sender_id, client_id)
        if earlier is None:
            raise
    if earlier.chat_id != chat_id or earlier.text != text:
        raise errors.ClientIdTaken
    return earlier, False


def next_number(chat_id: int) -> int:
    """Take the chat's next message number; the chat stays locked until the transaction ends.

    Raises:
        NotFound: there is no such chat.
    """
    return _next_number(_lock(chat_id))


def message_delete(*, chat_id: int, by: int, message_id: int) -> None:
    """Delete a message; only its sender may."""
    message = Message.objects.filter(chat_id=chat_id, pk=message_id).first()
    if message is None:
        raise errors.NotFound
    if message.sender_id != by:
        raise errors.NotAllowed("Only who sent the message may delete it.")
    message.delete()


@transaction.atomic
def mark_read(*, chat_id: int, user_id: int, number: int) -> ReadMark:
    """Note that the user has read the chat up to this number; a lower one than before changes nothing.

    Raises:
        NotFound: the user is no member.
        BeyondLastMessage: there is no such message yet.
    """
    chat = _lock(chat_id)
    _require_member(chat_id, user_id)
    if number > chat.last_number:
        raise errors.BeyondLastMessage
    _raise_mark(user_id, chat_id, number)
    return ReadMark.objects.get(user_id=user_id, chat_id=chat_id)


def _raise_mark(user_id: int, chat_id: int, number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(RAISE_MARK, [user_id, chat_id, number])


def _lock(chat_id: int) -> Chat:
    # NO KEY: rows that refer to the chat may still be written meanwhile.
    chat = Chat.objects.select_for_update(no_key=True).filter(pk=chat_id).first()
    if chat is None:
        raise errors.NotFound
    return chat


def _next_number(locked: Chat) -> int:
    locked.last_number += 1
    locked.save(update_fields=["last_number"])
    return locked.last_number


def _sent(sender_id: int, client_id: UUID) -> Message | None:
    return Message.objects.filter(sender_id=sender_id, client_id=client_id).first()


def _require_member(chat_id: int, user_id: int) -> None:
    # After the chat's lock is held, so that a removal that came first is seen.
    if not ChatMember.objects.filter(chat_id=chat_id, user_id=user_id).exists():
        raise errors.NotFound


def _require_owner(chat_id: int, user_id: int) -> None:
    member = ChatMember.objects.filter(chat_id=chat_id, user_id=user_id).first()
    if member is None:
        raise errors.NotFound
    if member.role != ChatMember.Role.OWNER:
        raise errors.NotAllowed


def _require_active(user_ids: set[int]) -> None:
    found = get_user_model().objects.filter(pk__in=user_ids, is_active=True).count() if user_ids else 0
    if found != len(user_ids):
        raise errors.UnknownUsers
