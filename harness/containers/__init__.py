"""Container engines: the one that answers, what runs in it, and one of our own where there is none."""

from __future__ import annotations
