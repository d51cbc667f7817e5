"""What the process is told by its environment variables, checked once and complete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured


class StackEnv(StrEnum):
    """What the process is for; production refuses whatever is weak."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


REQUIRED = ("STACK_ENV", "SECRET_KEY", "DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS", "APP_ORIGINS")
OPTIONAL = (
    "DATABASE_POOL_SIZE",
    "TRUSTED_PROXIES",
    "SIGN_IN_RATE",
    "BEHIND_TLS_PROXY",
    "STATIC_ROOT",
    "LOG_LEVEL",
    "FRONTEND_BUILD",
    "RENDERER_URLS",
    "FRONTEND_DEV_URL",
    "LIVE_LOSSY",
    "LIVE_MOST_SOCKETS",
    "LIVE_DRAIN",
    "LIVE_DATABASE_URL",
    "LIVE_RETENTION",
    "HARNESS_RUN",
)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
IOS_APP = "capacitor://localhost"
"""The origin of an iOS app's web view; no browser page can have it."""
SHORTEST_SECRET_KEY = 50
FEWEST_SECRET_KEY_CHARACTERS = 16
SIGN_IN_RATE = "10/min"
SIGN_IN_RATE_OUTSIDE_PRODUCTION = "1000/min"


@dataclass(frozen=True)
class Environment:
    """The checked values.

    Attributes:
        database: an entry of Django's ``DATABASES``.
        app_origins: origins (``scheme://host[:port]``) whose pages may write and open the WebSocket.
        sign_in_rate: sign-ins of one user name from one address, as ``"number/period"``.
        trusted_proxies: how many proxies in front append to ``X-Forwarded-For``; 0 ignores that header.
        behind_tls_proxy: a proxy ends TLS and always sets ``X-Forwarded-Proto``.
        frontend_build: the folder that holds the built front end, ``renderer/`` and ``web/``; None without one.
        renderer_urls: origins of the renderers; without any, every page is a shell.
        frontend_dev_url: origin of the front end's development server, which renders pages if no other does.
        live_database: an entry of Django's ``DATABASES`` for the commands that need a session of their own, such as the
            relay, where ``database`` is reached through a pooler; None elsewhere.
        live_retention: for how many seconds events are kept.
        live_lossy: batches of live events may be lost, repeated and reordered on purpose.
        live_most_sockets: WebSockets of one process; who comes when there are so many is sent elsewhere.
        live_drain: seconds over which a process that is to end spreads the closing of its WebSockets.
        run: which use of the harness started this process; empty elsewhere.
    """

    stack_env: StackEnv
    secret_key: str = field(repr=False)
    database: Mapping[str, Any] = field(repr=False)
    database_pool_size: int
    redis_url: str = field(repr=False)
    allowed_hosts: tuple[str, ...]
    app_origins: tuple[str, ...]
    sign_in_rate: str
    trusted_proxies: int
    behind_tls_proxy: bool
    static_root: str | None
    frontend_build: str | None
    renderer_urls: tuple[str, ...]
    frontend_dev_url: str | None
    live_database: Mapping[str, Any] | None = field(repr=False)
    live_retention: int
    live_lossy: bool
    live_most_sockets: int
    live_drain: int
    log_level: str
    run: str

    @property
    def production(self) -> bool:
        return self.stack_env is StackEnv.PRODUCTION


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read and check all variables; ``NAME_FILE`` may name a file that holds the value of ``NAME``.

    Raises:
        ImproperlyConfigured: with every missing variable, or every wrong one, in one sentence.
    """
    env = environ.FileAwareEnv()
    env.ENVIRON = environ.fileaware_mapping.FileAwareMapping(env=dict(variables), cache=False)
    if missing := [name for name in REQUIRED if not env.str(name, default="").strip()]:
        raise ImproperlyConfigured(
            f"Set {_join(missing)} in the environment (or {missing[0]}_FILE to read it from a file)."
        )
    # Either could be the one that is meant, and the other may be somebody else's database.
    problems = [
        f"{name} and {name}_FILE are both set: keep one of them"
        for name in (*REQUIRED, *OPTIONAL)
        if variables.get(name) and variables.get(f"{name}_FILE")
    ]
    if (stack_env := env.str("STACK_ENV")) not in set(StackEnv):
        problems.append(f"STACK_ENV must be one of {', '.join(StackEnv)}, not {stack_env!r}")
    secret_key = env.str("SECRET_KEY")
    problems += [
        f"{name} must look like postgres://user:password@host:port/name"
        for name in ("DATABASE_URL", "LIVE_DATABASE_URL")
        if (url := env.str(name, default="").strip()) and urlsplit(url).scheme not in ("postgres", "postgresql")
    ]
    if urlsplit(redis_url := env.str("REDIS_URL")).scheme not in ("redis", "rediss"):
        problems.append("REDIS_URL must look like redis://:password@host:port/0")
    allowed_hosts = _items(env.str("ALLOWED_HOSTS"))
    app_origins = _items(env.str("APP_ORIGINS"))
    if bad := [origin for origin in app_origins if not _is_origin(origin)]:
        problems.append(f"APP_ORIGINS holds {_join(bad)}, but wants origins like https://example.org")
    production = stack_env == StackEnv.PRODUCTION
    if production:
        problems += _production_problems(
            secret_key, allowed_hosts, app_origins, rate_given="SIGN_IN_RATE" in env.ENVIRON
        )
    numbers = {
        "DATABASE_POOL_SIZE": 20,
        "TRUSTED_PROXIES": 0,
        "LIVE_MOST_SOCKETS": 10_000,
        "LIVE_DRAIN": 10,
        "LIVE_RETENTION": 86_400,
    }
    for name, default in numbers.items():
        text = env.str(name, default=str(default))
        if text.isascii() and text.isdigit():
            numbers[name] = int(text)
        else:
            problems.append(f"{name} must be a whole number, not {text!r}")
    if numbers["LIVE_RETENTION"] == 0:
        problems.append("LIVE_RETENTION must be at least 1 (seconds): without events nobody could resume")
    rate = env.str("SIGN_IN_RATE", default=SIGN_IN_RATE if production else SIGN_IN_RATE_OUTSIDE_PRODUCTION)
    if not re.fullmatch(r"[1-9]\d*/(second|min|hour|day)", rate):
        problems.append(f"SIGN_IN_RATE must look like {SIGN_IN_RATE} (second, min, hour or day), not {rate!r}")
    log_level = env.str("LOG_LEVEL", default="INFO").upper()
    if log_level not in LOG_LEVELS:
        problems.append(f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {log_level!r}")
    build, renderers, dev_server = (
        env.str("FRONTEND_BUILD", default="").strip(),
        _items(env.str("RENDERER_URLS", default="")),
        env.str("FRONTEND_DEV_URL", default="").strip(),
    )
    problems += _frontend_problems(build, renderers, dev_server, production=production)
    live_lossy = env.bool("LIVE_LOSSY", default=False)
    if live_lossy and production:
        problems.append("LIVE_LOSSY may not be set in production: it is there to lose events")
    if problems:
        raise ImproperlyConfigured("; ".join(problems) + ".")
    return Environment(
        stack_env=StackEnv(stack_env),
        secret_key=secret_key,
        database=env.db_url("DATABASE_URL"),
        database_pool_size=max(numbers["DATABASE_POOL_SIZE"], 1),
        redis_url=redis_url,
        allowed_hosts=allowed_hosts,
        app_origins=app_origins,
        sign_in_rate=rate,
        trusted_proxies=numbers["TRUSTED_PROXIES"],
        behind_tls_proxy=env.bool("BEHIND_TLS_PROXY", default=False),
        static_root=env.str("STATIC_ROOT", default="") or None,
        frontend_build=build or None,
        renderer_urls=renderers,
        frontend_dev_url=dev_server or None,
        live_database=env.db_url("LIVE_DATABASE_URL") if env.str("LIVE_DATABASE_URL", default="").strip() else None,
        live_retention=numbers["LIVE_RETENTION"],
        live_lossy=live_lossy,
        live_most_sockets=numbers["LIVE_MOST_SOCKETS"],
        live_drain=numbers["LIVE_DRAIN"],
        log_level=log_level,
        run=env.str("HARNESS_RUN", default=""),
    )


def _production_problems(
    secret_key: str, hosts: tuple[str, ...], origins: tuple[str, ...], *, rate_given: bool
) -> list[str]:
    problems = []
    if _is_weak(secret_key):
        problems.append(
            f"SECRET_KEY is too weak for production: use at least {SHORTEST_SECRET_KEY} random characters, "
            "such as those of python -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )
    if wide := [host for host in hosts if "*" in host or (host[0] == "." and "." not in host.strip("."))]:
        problems.append(f"ALLOWED_HOSTS holds {_join(wide)}, but must name the hosts in production")
    if wide := [origin for origin in origins if "*" in origin or "://." in origin]:
        problems.append(f"APP_ORIGINS holds {_join(wide)}, but must name each origin in production")
    if plain := [origin for origin in origins if not origin.startswith("https://") and origin != IOS_APP]:
        problems.append(f"APP_ORIGINS holds {_join(plain)}, but production wants https")
    if rate_given:
        problems.append("SIGN_IN_RATE may not be set in production: guessing passwords would become quicker")
    return problems


def _frontend_problems(build: str, renderers: tuple[str, ...], dev_server: str, *, production: bool) -> list[str]:
    problems = []
    if build and not Path(build).is_absolute():
        problems.append(f"FRONTEND_BUILD must be the whole path of a folder, not {build!r}")
    if bad := [url for url in renderers if not _is_http_origin(url)]:
        problems.append(f"RENDERER_URLS holds {_join(bad)}, but wants origins like http://127.0.0.1:3000")
    if dev_server and not _is_http_origin(dev_server):
        problems.append(f"FRONTEND_DEV_URL must be an origin like http://127.0.0.1:3000, not {dev_server!r}")
    if dev_server and production:
        problems.append("FRONTEND_DEV_URL may not be set in production: pages would load scripts from there")
    return problems


def _is_http_origin(text: str) -> bool:
    return text.startswith(("http://", "https://")) and _is_origin(text) and not re.search(r"[\s;'\"*\\]", text)


def _is_weak(key: str) -> bool:
    return (
        len(key) < SHORTEST_SECRET_KEY
        or len(set(key)) < FEWEST_SECRET_KEY_CHARACTERS
        # What `startproject` writes into a project's source.
        or key.startswith("django-insecure-")
        # A shorter text again and again.
        or any(key[size:] == key[:-size] for size in range(1, len(key) // 2 + 1))
    )


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # raises if it is no number
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname) and text == f"{parts.scheme}://{parts.netloc}" and "@" not in text


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
