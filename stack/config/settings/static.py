from __future__ import annotations

from pathlib import Path

from stack.config.settings.environment import ENVIRONMENT

STATIC_URL = "/static/"
STATIC_ROOT = ENVIRONMENT.static_root or str(Path(__file__).resolve().parents[3] / "build" / "static")
# Outside production files are served from where they lie, without collectstatic.
WHITENOISE_USE_FINDERS = not ENVIRONMENT.production
WHITENOISE_AUTOREFRESH = not ENVIRONMENT.production
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if ENVIRONMENT.production
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
