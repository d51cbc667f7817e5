from __future__ import annotations

from stack.config.environment import StackEnv
from stack.config.settings.environment import ENVIRONMENT

STACK_ENV = ENVIRONMENT.stack_env
HARNESS_RUN = ENVIRONMENT.run
DEBUG = STACK_ENV is StackEnv.DEVELOPMENT
SECRET_KEY = ENVIRONMENT.secret_key
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
REDIS_URL = ENVIRONMENT.redis_url
APP_ORIGINS = list(ENVIRONMENT.app_origins)

# `stack.live` is last: when it gets ready, the feature apps have registered what is live.
INSTALLED_APPS = [
    "stack.config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_standardized_errors",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "stack.config",
    "stack.accounts",
    "stack.chat",
    "stack.jobs",
    "stack.pages",
    "stack.live",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "stack.config.static.StaticMiddleware",
    "stack.config.middleware.BodyLengthMiddleware",
    "stack.config.middleware.ApiMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "stack.config.middleware.SlashMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "stack.config.urls"
ASGI_APPLICATION = "stack.config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
