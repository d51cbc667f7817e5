from __future__ import annotations

from django.urls import path

from stack.live.api import SnapshotView

app_name = "live"
urlpatterns = [path("snapshot", SnapshotView.as_view(), name="snapshot")]
