from __future__ import annotations

from stack.config.settings.environment import ENVIRONMENT

FRONTEND_BUILD = ENVIRONMENT.frontend_build
RENDERER_URLS = list(ENVIRONMENT.renderer_urls)
FRONTEND_DEV_URL = ENVIRONMENT.frontend_dev_url
