"""The life of a job: queued -> running -> done or failed; back to queued where its worker died.

Each step is one conditional UPDATE, so that a task that is given twice has its effect once. A running job belongs to
the task that started it: no other one, and no worker that was given up, changes it.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now
from kombu.exceptions import OperationalError

from stack.jobs.models import Job

logger = logging.getLogger(__name__)

TASKS: dict[str, str] = {Job.Kind.DATA_REPORT: "stack.jobs.data_report"}
OPEN = (Job.State.QUEUED, Job.State.RUNNING)
SILENT_FOR = timedelta(seconds=60)
"""After so long without a sign of life an open job is given to a worker again."""
MOST_STARTS = 5
"""A job that ends its worker each time must not do so for ever."""


def job_create(*, owner_id: int, kind: Job.Kind) -> Job:
    """Create a job and, once that is committed, give it to a worker."""
    with transaction.atomic():
        job = Job.objects.create(owner_id=owner_id, kind=kind)
        job_enqueue(job)
    job.refresh_from_db()
    return job


def job_enqueue(job: Job) -> None:
    """Give the job to a worker when the transaction commits; without a broker the job fails and says so."""
    transaction.on_commit(lambda: _send(job.pk, job.kind))


def _send(job_id: int, kind: str) -> None:
    try:
        current_app.send_task(TASKS[kind], args=[job_id])
    except OperationalError:
        logger.exception("Job %s could not be given to a worker", job_id)
        error = "The job queue can't be reached at the moment. Try again later."
        Job.objects.filter(pk=job_id, state=Job.State.QUEUED).update(
            state=Job.State.FAILED, error=error, updated_at=Now()
        )


def jobs_resend() -> int:
    """Give open jobs without a sign of life to workers again: their task was lost, or its worker died.

    A job whose task still waits in the queue gets a second one there, which then finds nothing to do.

    Returns:
        How many were given.
    """
    silent = Q(state__in=OPEN, updated_at__lt=Now() - SILENT_FOR)
    hopeless = "The job was given up: its worker died each time."
    Job.objects.filter(silent, starts__gte=MOST_STARTS).update(state=Job.State.FAILED, error=hopeless, updated_at=Now())
    sent = 0
    for job_id, kind in Job.objects.filter(silent).order_by("pk").values_list("pk", "kind"):
        # Where two look at once, one of them finds that the other has taken it.
        if Job.objects.filter(silent, pk=job_id).update(state=Job.State.QUEUED, updated_at=Now()):
            try:
                current_app.send_task(TASKS[kind], args=[job_id])
            except OperationalError:
                logger.warning("Job %s could not be given to a worker again: the next round will try", job_id)
            else:
                sent += 1
    return sent


def job_start(*, job_id: int, task_id: str) -> Job | None:
    """Begin the job, or begin again where the same task is given again; None if there is nothing to do."""
    mine = Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING, task_id=task_id)
    started = Job.objects.filter(mine, pk=job_id, starts__lt=MOST_STARTS).update(
        state=Job.State.RUNNING, task_id=task_id, starts=F("starts") + 1, updated_at=Now()
    )
    return Job.objects.filter(pk=job_id).first() if started else None


def job_progress(*, job_id: int, task_id: str, progress: int) -> bool:
    """Give a sign of life and note how far it is, in per cent, which never goes back.

    Returns:
        Whether the job still is this task's; if not, there is nothing more to do.
    """
    further = Greatest(F("progress"), progress)
    return bool(_running(job_id, task_id).update(progress=further, updated_at=Now()))


def job_finish(*, job_id: int, task_id: str, result: dict[str, Any]) -> None:
    """End the job with its result."""
    _running(job_id, task_id).update(state=Job.State.DONE, progress=100, result=result, updated_at=Now())


def job_fail(*, job_id: int, task_id: str, error: str) -> None:
    """End the job with a sentence for its owner."""
    _running(job_id, task_id).update(state=Job.State.FAILED, error=error, updated_at=Now())


def _running(job_id: int, task_id: str) -> QuerySet[Job]:
    return Job.objects.filter(pk=job_id, state=Job.State.RUNNING, task_id=task_id)
