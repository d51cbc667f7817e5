"""Postgres and Redis for a run, from one of several sources behind one interface."""

from __future__ import annotations
