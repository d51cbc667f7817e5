"""Django's settings, one module a component; each reads ``ENVIRONMENT`` and nothing else."""

from __future__ import annotations

from stack.config.settings.api import *  # noqa: F403
from stack.config.settings.auth import *  # noqa: F403
from stack.config.settings.channels import *  # noqa: F403
from stack.config.settings.core import *  # noqa: F403
from stack.config.settings.database import *  # noqa: F403
from stack.config.settings.jobs import *  # noqa: F403
from stack.config.settings.live import *  # noqa: F403
from stack.config.settings.logging import *  # noqa: F403
from stack.config.settings.pages import *  # noqa: F403
from stack.config.settings.security import *  # noqa: F403
from stack.config.settings.static import *  # noqa: F403
