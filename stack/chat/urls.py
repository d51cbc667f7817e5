from __future__ import annotations

from django.urls import path

from stack.chat import apis

urlpatterns = [
    path("chats", apis.ChatListApi.as_view(), name="chats"),
    path("chats/<int:chat_id>", apis.ChatApi.as_view(), name="chat"),
    path("chats/<int:chat_id>/members", apis.MemberListApi.as_view(), name="members"),
    path("chats/<int:chat_id>/members/<int:user_id>", apis.MemberApi.as_view(), name="member"),
    path("chats/<int:chat_id>/messages", apis.MessageListApi.as_view(), name="messages"),
    path("chats/<int:chat_id>/messages/<int:message_id>", apis.MessageApi.as_view(), name="message"),
    path("chats/<int:chat_id>/read", apis.ReadApi.as_view(), name="read"),
]
