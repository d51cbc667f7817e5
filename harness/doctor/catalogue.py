"""All checks, in the order in which people read them."""

from __future__ import annotations

from harness.doctor import engine, frontend, machine, registries, runs, versions

CHECKS = (
    *versions.CHECKS,
    *frontend.CHECKS,
    *engine.CHECKS,
    *runs.CHECKS,
    *machine.CHECKS,
    *registries.CHECKS,
)
