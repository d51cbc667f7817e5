from __future__ import annotations

from logging import LogRecord

from stack.config.settings.environment import ENVIRONMENT


def not_a_probe(record: LogRecord) -> bool:
    """Probes ask every moment, and hear the reason in the answer."""
    return getattr(getattr(record, "request", None), "path", "") not in PROBES


PROBES = ("/healthz", "/readyz")
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
