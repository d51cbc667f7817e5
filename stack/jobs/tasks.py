from __future__ import annotations

from celery import shared_task
from celery.utils.log import get_task_logger

from stack.jobs import report, services
from stack.jobs.models import Job

logger = get_task_logger(__name__)


@shared_task(name=services.TASKS[Job.Kind.DATA_REPORT])
def data_report(job_id: int) -> None:
    """Count what the job's owner sees; the progress is committed as it goes."""
    job = services.job_start(job_id=job_id)
    if job is None:
        logger.info("Job %s is over or gone: nothing to do", job_id)
        return
    counts = report.Report()
    try:
        for done in report.data_report(job.owner_id, counts):
            # 100 comes together with the result.
            services.job_progress(job_id=job_id, progress=min(int(done * 100), 99))
    except Exception:
        services.job_fail(job_id=job_id, error="The report failed. It has been logged.")
        raise
    services.job_finish(job_id=job_id, result={"types": counts.types})
