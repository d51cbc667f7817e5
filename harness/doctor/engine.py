"""The container engine, and where Postgres and Redis would come from."""

from __future__ import annotations

from harness.doctor.check import Check, Finding, Ground, ok, warn
from harness.errors import SourceUnusable

_NAMED = "DOCKER_HOST"


def engine(ground: Ground) -> Finding:
    """Whether an engine answers, which nothing needs: there are embedded servers."""
    from harness.containers.engine import find_engine

    try:
        found = find_engine(ground.environ)
    except SourceUnusable as error:
        sentence = str(error).rstrip(".")
        if ground.environ.get(_NAMED):
            return warn(
                f"{sentence}, though {_NAMED} names it; {_auto(ground, 'embedded servers')}",
                fix=f"Start that engine, or unset {_NAMED}.",
            )
        return ok(f"{sentence}, and none is needed: {_auto(ground, 'embedded servers')}")
    return ok(f"{found}; {_auto(ground, 'containers')}")


def _auto(ground: Ground, otherwise: str) -> str:
    """What `--services auto` would take, in words."""
    named = [name for name in ("DATABASE_URL", "REDIS_URL") if ground.environ.get(name)]
    if len(named) == 2:
        return "--services auto takes DATABASE_URL and REDIS_URL"
    rest = f" and {otherwise}" if named else otherwise
    return f"--services auto takes {''.join(named)}{rest}"


CHECKS = (Check(name="engine", look=engine),)
