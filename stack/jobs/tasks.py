from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.utils.log import get_task_logger

from stack.jobs import report, services
from stack.jobs.models import Job
from stack.jobs.worker import RESEND

logger = get_task_logger(__name__)


@shared_task(name=services.TASKS[Job.Kind.DATA_REPORT], bind=True)
def data_report(self: Any, job_id: int) -> None:
    """Count what the job's owner sees; the progress is committed as it goes."""
    task_id: str = self.request.id
    job = services.job_start(job_id=job_id, task_id=task_id)
    if job is None:
        logger.info("Job %s is over, gone or another task's: nothing to do", job_id)
        return
    counts = report.Report()
    try:
        for done in report.data_report(job.owner_id, counts):
            # 100 comes together with the result.
            if not services.job_progress(job_id=job_id, task_id=task_id, progress=min(int(done * 100), 99)):
                logger.warning("Job %s was given to another worker meanwhile", job_id)
                return
    except Exception:
        services.job_fail(job_id=job_id, task_id=task_id, error="The report failed. It has been logged.")
        raise
    services.job_finish(job_id=job_id, task_id=task_id, result={"types": counts.types})


@shared_task(name=RESEND)
def resend() -> None:
    """Give lost jobs to workers again."""
    if count := services.jobs_resend():
        logger.warning("Jobs without a sign of life that were given to workers again: %s", count)
