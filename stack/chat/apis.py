from __future__ import annotations

from typing import Any

from django.db.models import BigIntegerField
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stack.chat import selectors, services
from stack.chat.models import LONGEST_TEXT, MOST_MEMBERS
from stack.chat.serializers import (
    ChatDetailSerializer,
    MemberSerializer,
    MessageSerializer,
    ReadMarkSerializer,
)
from stack.viewer import viewer_id

LARGEST = BigIntegerField.MAX_BIGINT


class ChatTitleSerializer(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=200, allow_blank=True)


class ChatCreateSerializer(serializers.Serializer[Any]):
    title = serializers.CharField(max_length=200, allow_blank=True, default="")
    members = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=LARGEST), max_length=MOST_MEMBERS, default=list
    )


class MemberAddSerializer(serializers.Serializer[Any]):
    user = serializers.IntegerField(min_value=1, max_value=LARGEST)


class MessageSendSerializer(serializers.Serializer[Any]):
    client_id = serializers.UUIDField()
    text = serializers.CharField(min_length=1, max_length=LONGEST_TEXT, trim_whitespace=False)


class MessagesQuery(serializers.Serializer[Any]):
    before = serializers.IntegerField(min_value=0, max_value=LARGEST, required=False)


class ReadSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField(min_value=0, max_value=LARGEST)


def _valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data
    return data


class ChatListApi(APIView):
    @extend_schema(operation_id="chat_list", responses=ChatDetailSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The chats one is in."""
        return Response(ChatDetailSerializer(selectors.chats_of(viewer_id(request)), many=True).data)

    @extend_schema(operation_id="chat_create", request=ChatCreateSerializer, responses={201: ChatDetailSerializer})
    def post(self, request: Request) -> Response:
        """Start a chat with these users; who starts it owns it."""
        data = _valid(ChatCreateSerializer(data=request.data))
        chat = services.chat_create(owner_id=viewer_id(request), title=data["title"], member_ids=data["members"])
        return Response(ChatDetailSerializer(chat).data, status=status.HTTP_201_CREATED)


class ChatApi(APIView):
    @extend_schema(operation_id="chat_get", responses=ChatDetailSerializer)
    def get(self, request: Request, chat_id: int) -> Response:
        return Response(ChatDetailSerializer(selectors.chat_of(viewer_id(request), chat_id)).data)

    @extend_schema(operation_id="chat_rename", request=ChatTitleSerializer, responses=ChatDetailSerializer)
    def patch(self, request: Request, chat_id: int) -> Response:
        """Rename the chat; for its owner."""
        selectors.require_member(viewer_id(request), chat_id)
        data = _valid(ChatTitleSerializer(data=request.data))
        chat = services.chat_rename(chat_id=chat_id, by=viewer_id(request), title=data["title"])
        return Response(ChatDetailSerializer(chat).data)

    @extend_schema(operation_id="chat_delete", responses={204: None})
    def delete(self, request: Request, chat_id: int) -> Response:
        """Delete the chat with all its messages; for its owner."""
        services.chat_delete(chat_id=chat_id, by=viewer_id(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MemberListApi(APIView):
    @extend_schema(
        operation_id="member_add",
        request=MemberAddSerializer,
        responses={201: MemberSerializer, 200: OpenApiResponse(MemberSerializer, "Is a member already")},
    )
    def post(self, request: Request, chat_id: int) -> Response:
        """Add a user to the chat; for its owner."""
        selectors.require_member(viewer_id(request), chat_id)
        data = _valid(MemberAddSerializer(data=request.data))
        member, created = services.member_add(chat_id=chat_id, by=viewer_id(request), user_id=data["user"])
        code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
        return Response(MemberSerializer(member).data, status=code)


class MemberApi(APIView):
    @extend_schema(operation_id="member_remove", responses={204: None})
    def delete(self, request: Request, chat_id: int, user_id: int) -> Response:
        """Remove a member; for the chat's owner, and for oneself to leave."""
        services.member_remove(chat_id=chat_id, by=viewer_id(request), user_id=user_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class MessageListApi(APIView):
    @extend_schema(
        operation_id="message_list",
        parameters=[OpenApiParameter("before", int, description="Only messages of a lower number")],
        responses=MessageSerializer(many=True),
    )
    def get(self, request: Request, chat_id: int) -> Response:
        """The newest 50 messages, newest first."""
        selectors.require_member(viewer_id(request), chat_id)
        query = _valid(MessagesQuery(data=request.query_params))
        messages = selectors.messages_before(chat_id, before=query.get("before"))
        return Response(MessageSerializer(messages, many=True).data)

    @extend_schema(
        operation_id="message_send",
        request=MessageSendSerializer,
        responses={
            201: MessageSerializer,
            200: OpenApiResponse(MessageSerializer, "Was sent before: the message as it is"),
        },
    )
    def post(self, request: Request, chat_id: int) -> Response:
        """Send a message. Sending again with the same client_id is harmless."""
        selectors.require_member(viewer_id(request), chat_id)
        data = _valid(MessageSendSerializer(data=request.data))
        message, created = services.message_send(chat_id=chat_id, sender_id=viewer_id(request), **data)
        code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
        return Response(MessageSerializer(message).data, status=code)


class MessageApi(APIView):
    @extend_schema(operation_id="message_delete", responses={204: None})
    def delete(self, request: Request, chat_id: int, message_id: int) -> Response:
        """Delete an own message."""
        selectors.require_member(viewer_id(request), chat_id)
        services.message_delete(chat_id=chat_id, by=viewer_id(request), message_id=message_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ReadApi(APIView):
    @extend_schema(operation_id="chat_mark_read", request=ReadSerializer, responses=ReadMarkSerializer)
    def put(self, request: Request, chat_id: int) -> Response:
        """Say up to which message one has read; never goes back."""
        selectors.require_member(viewer_id(request), chat_id)
        data = _valid(ReadSerializer(data=request.data))
        mark = services.mark_read(chat_id=chat_id, user_id=viewer_id(request), number=data["number"])
        return Response(ReadMarkSerializer(mark).data)
