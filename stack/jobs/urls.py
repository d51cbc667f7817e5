from __future__ import annotations

from django.urls import path

from stack.jobs import apis

urlpatterns = [
    path("jobs", apis.JobListApi.as_view(), name="jobs"),
    path("jobs/<int:job_id>", apis.JobApi.as_view(), name="job"),
]
