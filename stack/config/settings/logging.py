from __future__ import annotations

from logging import LogRecord, getLogger

from stack.config.settings.environment import ENVIRONMENT


def not_a_probe(record: LogRecord) -> bool:
    """Probes ask every moment, and hear the reason in the answer."""
    if record.name == ACCESS_LOG and isinstance(record.args, tuple) and len(record.args) > PATH_ARGUMENT:
        return str(record.args[PATH_ARGUMENT]).partition("?")[0] not in PROBES
    return getattr(getattr(record, "request", None), "path", "") not in PROBES


def not_a_clients_fault(record: LogRecord) -> bool:
    """Anyone can send text that is no UTF-8 over a WebSocket; its close code is answer enough."""
    return not str(record.msg).startswith("Invalid UTF-8 sequence")


def quiet_server_logs() -> None:
    """Leave probes and bad input out of the server's own logs; named in LOGGING, those would lose their handler."""
    getLogger(ACCESS_LOG).addFilter(not_a_probe)
    getLogger(SERVER_LOG).addFilter(not_a_clients_fault)


PROBES = ("/healthz", "/readyz")
ACCESS_LOG = "uvicorn.access"
SERVER_LOG = "uvicorn.error"
PATH_ARGUMENT = 2
"""Where the path stands among what the server's log is told of a request."""
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"not_a_probe": {"()": "django.utils.log.CallbackFilter", "callback": not_a_probe}},
    "handlers": {
        "null": {"class": "logging.NullHandler"},
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["not_a_probe"]},
    },
    "root": {"handlers": ["console"], "level": ENVIRONMENT.log_level},
    # Django's own handlers would write each line twice, and mail the admins.
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        # Anyone can send a wrong Host header; the 400 is answer enough.
        "django.security.DisallowedHost": {"handlers": ["null"], "propagate": False},
        # Each failed attempt, over several lines; what comes of them is raised and told once.
        "psycopg.pool": {"level": "ERROR"},
    },
}
