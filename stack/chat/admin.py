from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from stack.chat import services
from stack.chat.models import Chat, ChatMember, Message, ReadMark

if TYPE_CHECKING:
    ChatModelAdmin = admin.ModelAdmin[Chat]
    ChatMemberModelAdmin = admin.ModelAdmin[ChatMember]
    MessageModelAdmin = admin.ModelAdmin[Message]
    ReadMarkModelAdmin = admin.ModelAdmin[ReadMark]
else:
    ChatModelAdmin = ChatMemberModelAdmin = MessageModelAdmin = ReadMarkModelAdmin = admin.ModelAdmin


@admin.register(Chat)
class ChatAdmin(ChatModelAdmin):
    list_display = ("id", "title", "last_number", "created_at")
    list_display_links = ("id", "title")
    list_filter = ("created_at",)
    search_fields = ("title", "members__user__username")
    readonly_fields = ("last_number", "created_at")


@admin.register(ChatMember)
class ChatMemberAdmin(ChatMemberModelAdmin):
    list_display = ("id", "chat", "user", "role", "joined_at")
    list_select_related = ("chat", "user")
    list_filter = ("role",)
    search_fields = ("user__username", "chat__title")
    raw_id_fields = ("chat", "user")
    readonly_fields = ("joined_at",)


@admin.register(Message)
class MessageAdmin(MessageModelAdmin):
    list_display = ("id", "chat", "number", "sender", "created_at")
    list_select_related = ("chat", "sender")
    list_filter = ("created_at",)
    search_fields = ("text", "sender__username")
    raw_id_fields = ("chat", "sender")
    readonly_fields = ("number", "created_at")

    def save_model(self, request: HttpRequest, obj: Message, form: ModelForm[Message], change: bool) -> None:
        # A number is worth something only in its own chat.
        if not change or "chat" in form.changed_data:
            obj.number = services.next_number(obj.chat_id)
        super().save_model(request, obj, form, change)


@admin.register(ReadMark)
class ReadMarkAdmin(ReadMarkModelAdmin):
    list_display = ("id", "user", "chat", "number")
    list_select_related = ("chat", "user")
    search_fields = ("user__username", "chat__title")
    raw_id_fields = ("chat", "user")
