"""Whether this process lives, and whether it can serve."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import redis
from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max, Min
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from stack.config.environment import StackEnv
from stack.live import process
from stack.live.models import Outbox
from stack.live.readiness import readiness
from stack.pages import process as pages

logger = logging.getLogger(__name__)

OK = "ok"
NOT_NEEDED = {"redis", "pages"}
"""Checks that are told but do not make the process unready: without Redis, updates come a second late; without a
renderer, pages are rendered in the browser."""

REMEMBERED = 1.0
"""Seconds for which an answer to strangers holds."""

_migrated = False
_asking = threading.Lock()
_brief: dict[str, str] = {}
_brief_until = float("-inf")
_logged: dict[str, str] = {}


@require_safe
@never_cache
def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 as long as the process lives, with its figures; touches no service.

    ``environment`` says what the deployment is for, so that tools can tell where they may write; ``live`` is where
    the hub of this process stands in the event log, how many sockets it serves and why it closed others; ``pages``: how
    its pages came about.
    In production, where anybody may ask, there are no figures.
    """
    body = {"status": OK, "run": settings.HARNESS_RUN, "environment": settings.STACK_ENV}
    return JsonResponse(body | ({} if _in_public() else {"live": process.status(), "pages": pages.status()}))


@require_safe
@never_cache
def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when requests can be served and followed live, else 503; either names each check's state.

    ``outbox`` names the oldest and the newest change that no relay has taken yet (null for none or unknown): one that
    is named again and again waits. In production it is always unknown: the numbers tell how much is going on. There a
    check that fails only says so, and the log why; asking again within a second asks no service.
    """
    checks = {**(_in_brief() if _in_public() else _services()), "live": _live()}
    ready = all(state == OK for name, state in checks.items() if name not in NOT_NEEDED)
    body = {
        "status": OK if ready else "unready",
        "run": settings.HARNESS_RUN,
        "checks": checks,
        "outbox": _outbox() if checks["migrations"] == OK and not _in_public() else None,
    }
    return JsonResponse(body, status=200 if ready else 503)


def _services() -> dict[str, str]:
    checks = {"database": _told(_database)}
    checks["migrations"] = _told(_migrations) if checks["database"] == OK else "the database can't be reached"
    checks["redis"] = _told(_redis)
    checks["triggers"] = _told(_triggers) if checks["migrations"] == OK else "the migrations are not applied"
    checks["pages"] = pages.trouble() or OK
    return checks


def _in_brief() -> dict[str, str]:
    """The services' state for anybody: no names of theirs, and no work for who asks often."""
    global _brief, _brief_until, _logged  # noqa: PLW0603 - what this process found last
    with _asking:
        if time.monotonic() >= _brief_until:
            checks = _services()
            failing = {name: state for name, state in checks.items() if state != OK}
            if failing and failing != _logged:
                logger.warning("not all is well: %s", "; ".join(f"{name}: {failing[name]}" for name in failing))
            _logged = failing
            _brief = {name: "failed" if name in failing else OK for name in checks}
            _brief_until = time.monotonic() + REMEMBERED
        return _brief


def _in_public() -> bool:
    return bool(settings.STACK_ENV == StackEnv.PRODUCTION)


def _told(check: Callable[[], str]) -> str:
    try:
        return check()
    except (Error, redis.RedisError) as error:
        # The message could hold addresses and user names; whoever may see those reads the log.
        return f"failed: {type(error).__name__}"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _live() -> str:
    if process.is_draining():
        return "draining"
    return OK if process.status()["ready"] else "the hub does not follow the event log yet"


def _migrations() -> str:
    global _migrated  # noqa: PLW0603 - once applied, migrations stay so for this process
    if not _migrated:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            return f"{len(missing)} to apply, first {missing[0][0]}: run manage.py prepare"
        _migrated = True
    return OK


def _triggers() -> str:
    return readiness.trouble() or OK


def _outbox() -> dict[str, int | None] | None:
    try:
        # Both ends of the primary key's index: the cost does not grow with what waits.
        return Outbox.objects.aggregate(oldest=Min("id"), newest=Max("id"))
    except Error:
        return None


def _redis() -> str:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=0.5, socket_timeout=0.5)
    with client:
        client.ping()
    return OK
