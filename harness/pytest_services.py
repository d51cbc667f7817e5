"""The servers that Django's settings need when pytest loads them, and whether any are needed."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Generator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.stack import RunningStack

SETTINGS_MODULE = "DJANGO_SETTINGS_MODULE"
XDIST_WORKER = "PYTEST_XDIST_WORKER"
SERVICE_URLS = ("DATABASE_URL", "REDIS_URL")


class Services:
    """Throwaway services and the environment variables that name them, put back by `close`."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._environ = environ
        self._before: dict[str, str | None] = {}
        self._running: RunningStack | None = None

    def start(self) -> None:
        """Start what the environment does not name yet; raises `pytest.UsageError` when that fails."""
        if any(name not in self._environ for name in SERVICE_URLS):
            from harness.errors import HarnessError
            from harness.stack import StackOptions, start_stack

            try:
                self._running = start_stack(StackOptions(resources=frozenset({"postgres", "redis"})))
            except HarnessError as error:
                raise pytest.UsageError(f"{error} {error.hint}".strip()) from error
            for name in (*SERVICE_URLS, "SECRET_KEY", "ALLOWED_HOSTS", "APP_ORIGINS", "HARNESS_RUN"):
                if name in self._running.environment:
                    self._set(name, self._running.environment[name])
        self._set("STACK_ENV", "test")
        for name, value in {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "APP_ORIGINS": "http://127.0.0.1:8000,http://localhost:8000",
            "HARNESS_RUN": "tests",
        }.items():
            if not self._environ.get(name):
                self._set(name, value)

    def close(self) -> None:
        for name, value in self._before.items():
            if value is None:
                self._environ.pop(name, None)
            else:
                self._environ[name] = value
        self._before.clear()
        if self._running is not None:
            self._running.close()
            self._running = None

    def _set(self, name: str, value: str) -> None:
        self._before.setdefault(name, self._environ.get(name))
        self._environ[name] = value


def settings_of(config: pytest.Config, known: argparse.Namespace) -> str:
    """Django's settings module as pytest-django will take it, or nothing."""
    if not config.pluginmanager.has_plugin("django"):
        return ""
    return known.ds or os.environ.get(SETTINGS_MODULE) or config.getini(SETTINGS_MODULE) or ""


def only_strangers(paths: Sequence[str], config: pytest.Config, settings: str) -> bool:
    """Whether all of the paths asked for lie outside the package whose settings these are."""
    package = config.rootpath / settings.partition(".")[0]
    asked = [(config.invocation_params.dir / path.partition("::")[0]).resolve() for path in paths]
    return bool(asked) and not any(path.is_relative_to(package) or package.is_relative_to(path) for path in asked)


def leaves_it_to_workers(known: argparse.Namespace) -> bool:
    """Whether pytest-xdist runs the tests in processes of its own, and this is not one of them."""
    return bool(getattr(known, "numprocesses", None)) and XDIST_WORKER not in os.environ


@contextmanager
def without_settings() -> Generator[None]:
    """Keep pytest-django from loading the settings that the configuration file names."""
    os.environ[SETTINGS_MODULE] = ""
    try:
        yield
    finally:
        # Processes started later must find their settings by themselves.
        del os.environ[SETTINGS_MODULE]
