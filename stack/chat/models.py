from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Length, Now

LONGEST_TEXT = 10_000
# Members see each other's profiles: what a chat makes visible grows with the square of their number.
MOST_MEMBERS = 50

models.TextField.register_lookup(Length)


class Chat(models.Model):
    """A conversation; ``last_number`` is the number of its newest message."""

    title = models.CharField(max_length=200, blank=True, help_text="Empty: clients show the other members")
    last_number = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.title or f"chat {self.pk}"


class ChatMember(models.Model):
    """Who is in a chat, and so sees all that is in it."""

    class Role(models.TextChoices):
        OWNER = "owner"
        MEMBER = "member"

    # The unique constraint's index begins with the chat.
    chat = models.ForeignKey(Chat, on_delete=models.CASCADE, related_name="members", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_members")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["chat", "user"], name="chat_member_once")]

    def __str__(self) -> str:
        return f"user {self.user_id} in chat {self.chat_id}"


class Message(models.Model):
    """A message; numbers of a chat are without holes when given, and stay when others are deleted."""

    chat = models.ForeignKey(Chat, on_delete=models.CASCADE, related_name="messages", db_index=False)
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    client_id = models.UUIDField(default=uuid.uuid4, help_text="Made by the sender, so that sending again is harmless")
    number = models.PositiveBigIntegerField(editable=False)
    text = models.TextField(max_length=LONGEST_TEXT)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sender", "client_id"], name="chat_message_sent_once"),
            models.UniqueConstraint(fields=["chat", "number"], name="chat_message_number"),
            models.CheckConstraint(
                condition=models.Q(text__length__gte=1, text__length__lte=LONGEST_TEXT),
                name="chat_message_text",
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.number} of chat {self.chat_id}"


class ReadMark(models.Model):
    """Up to which number a user has read a chat; only that user sees it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="read_marks", db_index=False
    )
    chat = models.ForeignKey(Chat, on_delete=models.CASCADE, related_name="read_marks")
    number = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "chat"], name="chat_read_mark_once")]

    def __str__(self) -> str:
        return f"user {self.user_id} has read chat {self.chat_id} up to {self.number}"
