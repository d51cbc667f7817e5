from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound

from stack.jobs.models import Job

MOST_JOBS = 50


def jobs_of(owner_id: int) -> QuerySet[Job]:
    """The owner's newest 50 jobs, newest first."""
    return Job.objects.filter(owner_id=owner_id).order_by("-pk")[:MOST_JOBS]


def job_of(owner_id: int, job_id: int) -> Job:
    """One job of the owner.

    Raises:
        NotFound: no such job, or another's; the two look the same.
    """
    job = Job.objects.filter(owner_id=owner_id, pk=job_id).first()
    if job is None:
        raise NotFound
    return job
