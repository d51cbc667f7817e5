"""What of a machine and a checkout would be in the way of the harness, and how to put it right."""

from __future__ import annotations
