from __future__ import annotations

from rest_framework import serializers

from stack.chat.models import Chat, ChatMember, Message, ReadMark


class ChatSerializer(serializers.ModelSerializer[Chat]):
    class Meta:
        model = Chat
        fields = ["id", "title", "last_number", "created_at"]
        read_only_fields = fields


class MemberSerializer(serializers.ModelSerializer[ChatMember]):
    class Meta:
        model = ChatMember
        fields = ["id", "chat", "user", "role", "joined_at"]
        read_only_fields = fields


class MessageSerializer(serializers.ModelSerializer[Message]):
    class Meta:
        model = Message
        fields = ["id", "chat", "sender", "client_id", "number", "text", "created_at"]
        read_only_fields = fields


class ReadMarkSerializer(serializers.ModelSerializer[ReadMark]):
    class Meta:
        model = ReadMark
        fields = ["id", "user", "chat", "number"]
        read_only_fields = fields


class ChatDetailSerializer(ChatSerializer):
    """A chat as the API answers it: with its members."""

    members = MemberSerializer(many=True, read_only=True)

    class Meta(ChatSerializer.Meta):
        fields = [*ChatSerializer.Meta.fields, "members"]
        read_only_fields = fields
