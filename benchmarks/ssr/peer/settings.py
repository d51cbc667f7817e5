"""This stack's database, models and sessions; everything else as ``startproject`` and django-nextjs have it."""

from __future__ import annotations

import os

from stack.config.settings import *  # noqa: F403 - all settings but those below
from stack.config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_nextjs"]
ROOT_URLCONF = "benchmarks.ssr.peer.urls"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
NEXTJS_SETTINGS = {"nextjs_server_url": os.environ["PEER_RENDERER_URL"]}
