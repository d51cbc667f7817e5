from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Job(models.Model):
    """A long task; its row is all there is to know of it, and it is live.

    ``task_id`` names the task that runs it, of the ``starts`` that there were; ``updated_at`` is its sign of life.
    """

    class Kind(models.TextChoices):
        DATA_REPORT = "data_report"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=32, choices=Kind.choices)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED, db_default=State.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Per cent")
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    task_id = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    starts = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(progress__lte=100), name="jobs_job_progress"),
        ]
        indexes = [
            models.Index(
                name="jobs_job_open", fields=["updated_at"], condition=models.Q(state__in=["queued", "running"])
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}: {self.kind}, {self.state}"
