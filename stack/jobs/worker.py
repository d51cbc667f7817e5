"""What a worker does beside its tasks: every minute it has jobs looked for whose task or worker was lost."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

RESEND = "stack.jobs.resend"
RESEND_EVERY = 60.0
"""Seconds."""


class Resending(bootsteps.StartStopStep):
    """Sends the task that does it, so that the worker's main process, which forks, never touches the database.

    A step begins anew with each connection to the broker, hence right after the broker was away.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entry: Any = None

    def start(self, parent: Any) -> None:
        self._send(parent.app)
        self._entry = parent.timer.call_repeatedly(RESEND_EVERY, self._send, (parent.app,))

    def stop(self, parent: Any) -> None:
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None

    def _send(self, app: Any) -> None:
        try:
            # What waits for longer than a round is needless: the next one does the same.
            app.send_task(RESEND, expires=RESEND_EVERY)
        except OperationalError:
            logger.warning("Lost jobs are not looked for in this round: the broker is away")
