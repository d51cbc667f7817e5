from __future__ import annotations

from django.urls import path

from stack.accounts import apis

urlpatterns = [
    path("session", apis.SessionApi.as_view(), name="session"),
    path("profile", apis.ProfileApi.as_view(), name="profile"),
    path("profiles", apis.ProfileListApi.as_view(), name="profiles"),
    path("people", apis.PeopleApi.as_view(), name="people"),
]
