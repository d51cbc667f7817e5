from __future__ import annotations

import secrets
from pathlib import Path
from string import ascii_letters

import pytest
from django.core.exceptions import ImproperlyConfigured

from stack.config.environment import REQUIRED, StackEnv, read_environment

DEVELOPMENT = {
    "STACK_ENV": "development",
    "SECRET_KEY": "short",
    "DATABASE_URL": "postgres://user:hidden@127.0.0.1:5432/name",
    "REDIS_URL": "redis://:hidden@127.0.0.1:6379/0",
    "ALLOWED_HOSTS": "127.0.0.1, localhost",
    "APP_ORIGINS": "http://127.0.0.1:8000,capacitor://localhost",
}
PRODUCTION = DEVELOPMENT | {
    "STACK_ENV": "production",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "example.org",
    "APP_ORIGINS": "https://example.org,capacitor://localhost",
}


def refusal(variables: dict[str, str]) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        read_environment(variables)
    return str(refused.value)


def test_values() -> None:
    found = read_environment(DEVELOPMENT)
    assert found.stack_env is StackEnv.DEVELOPMENT
    assert not found.production
    assert found.allowed_hosts == ("127.0.0.1", "localhost")
    assert found.app_origins == ("http://127.0.0.1:8000", "capacitor://localhost")
    assert (found.database["HOST"], found.database["NAME"]) == ("127.0.0.1", "name")
    assert found.run == ""
    assert (found.frontend_build, found.renderer_urls, found.frontend_dev_url) == (None, (), None)


def test_the_front_end() -> None:
    found = read_environment(
        DEVELOPMENT
        | {
            "FRONTEND_BUILD": "/srv/front end",
            "RENDERER_URLS": "http://127.0.0.1:3000, https://renderer.internal",
            "FRONTEND_DEV_URL": "http://127.0.0.1:3001",
        }
    )
    assert found.frontend_build == "/srv/front end"
    assert found.renderer_urls == ("http://127.0.0.1:3000", "https://renderer.internal")
    assert found.frontend_dev_url == "http://127.0.0.1:3001"


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(read_environment(DEVELOPMENT))


def test_all_missing_variables_in_one_sentence() -> None:
    sentence = refusal({})
    assert all(name in sentence for name in REQUIRED)
    assert sentence.count("Set ") == 1


def test_empty_counts_as_missing() -> None:
    sentence = refusal(DEVELOPMENT | {"REDIS_URL": " "})
    assert "REDIS_URL" in sentence
    assert "DATABASE_URL" not in sentence


def test_a_value_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-a-file")
    variables = DEVELOPMENT | {"SECRET_KEY_FILE": str(file)}
    del variables["SECRET_KEY"]
    assert read_environment(variables).secret_key == "from-a-file"


@pytest.mark.parametrize("name", ["DATABASE_URL", "SECRET_KEY", "LOG_LEVEL"])
def test_a_value_and_a_file_of_it_are_one_too_many(tmp_path: Path, name: str) -> None:
    file = tmp_path / "value"
    file.write_text("postgres://user:hidden@192.0.2.1/production")
    sentence = refusal(DEVELOPMENT | {"LOG_LEVEL": "INFO", f"{name}_FILE": str(file)})
    assert f"{name} and {name}_FILE are both set: keep one" in sentence


def test_log_levels_are_read_in_any_case() -> None:
    assert read_environment(DEVELOPMENT | {"LOG_LEVEL": "debug"}).log_level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STACK_ENV", "staging"),
        ("DATABASE_URL", "sqlite:///file"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("APP_ORIGINS", "http://127.0.0.1:8000/path"),
        ("APP_ORIGINS", "127.0.0.1:8000"),
        ("APP_ORIGINS", "*"),
        ("DATABASE_POOL_SIZE", "many"),
        ("TRUSTED_PROXIES", "-1"),
        ("SIGN_IN_RATE", "often"),
        ("LOG_LEVEL", "LOUD"),
        ("FRONTEND_BUILD", ".cache/frontend"),
        ("RENDERER_URLS", "http://127.0.0.1:3000/"),
        ("RENDERER_URLS", "http://127.0.0.1:3000,127.0.0.1:3001"),
        ("RENDERER_URLS", "ftp://127.0.0.1"),
        ("RENDERER_URLS", "http://user:password@127.0.0.1"),
        ("RENDERER_URLS", "http://127.0.0.1:many"),
        ("FRONTEND_DEV_URL", "http://127.0.0.1:3000/path"),
        ("FRONTEND_DEV_URL", "ws://127.0.0.1:3000"),
        ("FRONTEND_DEV_URL", "http://127.0.0.1:3000;script-src"),
    ],
)
def test_wrong_values(name: str, value: str) -> None:
    assert name in refusal(DEVELOPMENT | {name: value})


def test_all_wrong_values_at_once() -> None:
    sentence = refusal(DEVELOPMENT | {"STACK_ENV": "x", "REDIS_URL": "x", "APP_ORIGINS": "x"})
    assert all(name in sentence for name in ("STACK_ENV", "REDIS_URL", "APP_ORIGINS"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", "ab" * 40),
        ("SECRET_KEY", f"django-insecure-{ascii_letters}"),
        ("SECRET_KEY", "abcdefghijklmnopqrstuvwx" * 2 + "abc"),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "example.org,*.example.org"),
        ("ALLOWED_HOSTS", ".com"),
        ("ALLOWED_HOSTS", ".com."),
        ("APP_ORIGINS", "https://*.example.org"),
        ("APP_ORIGINS", "https://.org"),
        ("APP_ORIGINS", "https://example.org,ws://example.org"),
        ("APP_ORIGINS", "capacitor://example.org"),
        ("APP_ORIGINS", "https://example.org,http://example.org"),
        ("SIGN_IN_RATE", "5/min"),
        ("SIGN_IN_RATE", "1000/min"),
        ("FRONTEND_DEV_URL", "http://127.0.0.1:3000"),
        ("LIVE_LOSSY", "1"),
    ],
)
def test_production_refuses(name: str, value: str) -> None:
    assert name in refusal(PRODUCTION | {name: value})
    assert value == "short" or value not in refusal(PRODUCTION | {"SECRET_KEY": "ab" * 40})


def test_production() -> None:
    assert read_environment(PRODUCTION).sign_in_rate == "10/min"
    assert read_environment(PRODUCTION | {"ALLOWED_HOSTS": ".example.org"}).allowed_hosts == (".example.org",)
    assert read_environment(DEVELOPMENT | {"SIGN_IN_RATE": "7/min"}).sign_in_rate == "7/min"
