from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from stack.jobs import services
from stack.jobs.models import Job

if TYPE_CHECKING:
    JobModelAdmin = admin.ModelAdmin[Job]
else:
    JobModelAdmin = admin.ModelAdmin


@admin.register(Job)
class JobAdmin(JobModelAdmin):
    list_display = ("id", "owner", "kind", "state", "progress", "created_at")
    list_select_related = ("owner",)
    list_filter = ("kind", "state")
    search_fields = ("owner__username", "error")
    raw_id_fields = ("owner",)
    readonly_fields = ("state", "progress", "result", "error", "created_at", "updated_at", "starts")

    def save_model(self, request: HttpRequest, obj: Job, form: ModelForm[Job], change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            services.job_enqueue(obj)
