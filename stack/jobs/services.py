"""The life of a job: queued -> running -> done or failed.

Each step is one conditional UPDATE, so that a task that is given twice has its effect once.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from stack.jobs.models import Job

logger = logging.getLogger(__name__)

TASKS: dict[str, str] = {Job.Kind.DATA_REPORT: "stack.jobs.data_report"}
OPEN = (Job.State.QUEUED, Job.State.RUNNING)


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
        job_fail(job_id=job_id, error="The job queue can't be reached at the moment. Try again later.")


def job_start(*, job_id: int) -> Job | None:
    """Begin the job, or begin again where a worker died over it; None if there is nothing left to do."""
    if not Job.objects.filter(pk=job_id, state__in=OPEN).update(state=Job.State.RUNNING):
        return None
    return Job.objects.filter(pk=job_id).first()


def job_progress(*, job_id: int, progress: int) -> None:
    """Note how far it is, in per cent; never goes back."""
    Job.objects.filter(pk=job_id, state=Job.State.RUNNING, progress__lt=progress).update(progress=progress)


def job_finish(*, job_id: int, result: dict[str, Any]) -> None:
    """End the job with its result."""
    Job.objects.filter(pk=job_id, state=Job.State.RUNNING).update(state=Job.State.DONE, progress=100, result=result)


def job_fail(*, job_id: int, error: str) -> None:
    """End the job with a sentence for its owner."""
    Job.objects.filter(pk=job_id, state__in=OPEN).update(state=Job.State.FAILED, error=error)
