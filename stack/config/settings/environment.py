from __future__ import annotations

import os

from stack.config.environment import read_environment

ENVIRONMENT = read_environment(os.environ)
