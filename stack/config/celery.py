"""The Celery application: ``celery -A stack.config worker``."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from stack import notify
from stack.jobs.worker import Resending

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stack.config.settings")

app = Celery("stack")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["consumer"].add(Resending)


@worker_ready.connect
def tell_ready(**_: Any) -> None:
    """Tell who started the worker that it takes tasks."""
    notify.ready()
