"""For actors at pages without a screen for jobs."""

from __future__ import annotations

from typing import NoReturn

from harness.actors.actor import JOB_WITHIN, Job
from harness.actors.errors import NotPossible

NO_JOBS = "The app has no screen for jobs."


class Jobless:
    """Every verb about jobs raises `NotPossible`."""

    def starts_job(self, kind: str) -> Job:
        """Not possible."""
        self._has_no_jobs()

    def sees_job_progress(self, job: Job, *, at_least: int, below: int = 101, within: float = JOB_WITHIN) -> None:
        """Not possible."""
        self._has_no_jobs()

    def sees_job(self, job: Job, state: str, *, within: float = JOB_WITHIN) -> None:
        """Not possible."""
        self._has_no_jobs()

    def job_progress(self, job: Job) -> list[int]:
        """Not possible."""
        self._has_no_jobs()

    def _has_no_jobs(self) -> NoReturn:
        raise NotPossible(NO_JOBS)
