"""Two views: the page, which the renderer makes, and the data, which the renderer asks for. Both check the session."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path
from django_nextjs.render import stream_nextjs_page

from stack.live.db import repeatable_read
from stack.live.snapshot import PAGE, snapshot_in
from stack.pages.data import ELSEWHERE, body_of


async def chat_page(request: HttpRequest, chat: int) -> HttpResponseBase:
    """The page, streamed from the renderer."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponseRedirect(f"/sign-in/?next=/chats/{chat}/")
    page: HttpResponseBase = await stream_nextjs_page(request)
    return page


@login_required
def chat_data(request: HttpRequest, chat: int) -> HttpResponse:
    """What the page shows, by the same queries and encoded by the same code as this stack's own."""
    assert request.user.pk is not None
    with repeatable_read(read_only=True) as cursor:
        taken = snapshot_in(cursor, request.user.pk, windows=({f"chat:{chat}": PAGE}, ELSEWHERE))
    body = body_of(f"/chats/{chat}/", request.user.pk, taken)
    return HttpResponse(body, content_type="application/json")


urlpatterns = [
    path("chats/<int:chat>/", chat_page),
    path("data/chats/<int:chat>/", chat_data),
]
