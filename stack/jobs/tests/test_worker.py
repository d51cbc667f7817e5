"""A real worker: what it finds when it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from stack.accounts.services import user_create
from stack.jobs import services
from stack.jobs.models import Job

ROOT = Path(__file__).resolve().parents[3]
WITHIN = 60.0


@pytest.fixture
def start_worker(transactional_db: None, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Start a worker on the test database; it is killed at the end."""
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    command = [sys.executable, "-m", "celery", "-A", "stack.config", "worker", "--concurrency", "1"]
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        with (tmp_path / "worker.log").open("ab") as log:
            started.append(
                subprocess.Popen(
                    [*command, "--without-mingle", "--without-gossip"],
                    cwd=ROOT,
                    env={**os.environ, "DATABASE_URL": urlunsplit(url)},
                    stdout=log,
                    stderr=log,
                )
            )

    yield start
    for process in started:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_worker_finds_the_jobs_whose_task_was_lost(start_worker: Callable[[], None], tmp_path: Path) -> None:
    long_ago = Now() - services.SILENT_FOR - timedelta(seconds=1)
    owner = user_create(username="anna", password=None)
    jobs = [
        Job.objects.create(owner=owner, kind=Job.Kind.DATA_REPORT, state=state, task_id="lost")
        for state in (Job.State.QUEUED, Job.State.RUNNING)
    ]
    Job.objects.update(updated_at=long_ago)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert not client.llen("stack:stack")
        before = set(client.keys())
        start_worker()
        deadline = time.monotonic() + WITHIN
        while Job.objects.filter(state=Job.State.DONE).count() < len(jobs):
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.1)
        made = set(client.keys()) - before
    # Whoever shares this Redis shares no key with us.
    assert made
    assert all(key.startswith(b"stack:") for key in made), made
    assert set(Job.objects.values_list("starts", flat=True)) == {1}
