"""The harness: starts the stack, plays scenarios on it, proves that nothing was lost.

Scenarios, load tests and anybody's own scripts need no more than the names in here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.actors.admin import AdminActor
    from harness.actors.errors import (
        ActorError,
        FormRefused,
        LookError,
        NotPossible,
        NotSeen,
        Refused,
        SeenAnyway,
        Unreachable,
    )
    from harness.actors.web import Chat, Job, WebActor
    from harness.errors import HarnessError
    from harness.play.errors import (
        LostDelivery,
        NobodyLeft,
        OverBudget,
        PeopleFileError,
        PlayError,
        PlayFailed,
        ScenarioNotFound,
        ScenarioUnusable,
    )
    from harness.play.observers import Observer, Step
    from harness.play.people import Person, Pool, read_people
    from harness.play.runner import Play, perform
    from harness.play.scenario import Scenario, discover, pick, scenario
    from harness.play.stage import Stage, Target
    from harness.stack import RunningStack, StackOptions, attach, start_stack

__all__ = [
    "ActorError",
    "AdminActor",
    "Chat",
    "FormRefused",
    "HarnessError",
    "Job",
    "LookError",
    "LostDelivery",
    "NobodyLeft",
    "NotPossible",
    "NotSeen",
    "Observer",
    "OverBudget",
    "PeopleFileError",
    "Person",
    "Play",
    "PlayError",
    "PlayFailed",
    "Pool",
    "Refused",
    "RunningStack",
    "Scenario",
    "ScenarioNotFound",
    "ScenarioUnusable",
    "SeenAnyway",
    "StackOptions",
    "Stage",
    "Step",
    "Target",
    "Unreachable",
    "WebActor",
    "attach",
    "discover",
    "perform",
    "pick",
    "read_people",
    "scenario",
    "start_stack",
]

# The supervisor and the quick commands import this package too: they must not wait for what they don't use.
_HOMES = {
    "harness.actors.admin": ("AdminActor",),
    "harness.actors.errors": (
        "ActorError",
        "FormRefused",
        "LookError",
        "NotPossible",
        "NotSeen",
        "Refused",
        "SeenAnyway",
        "Unreachable",
    ),
    "harness.actors.web": ("Chat", "Job", "WebActor"),
    "harness.errors": ("HarnessError",),
    "harness.play.errors": (
        "LostDelivery",
        "NobodyLeft",
        "OverBudget",
        "PeopleFileError",
        "PlayError",
        "PlayFailed",
        "ScenarioNotFound",
        "ScenarioUnusable",
    ),
    "harness.play.observers": ("Observer", "Step"),
    "harness.play.people": ("Person", "Pool", "read_people"),
    "harness.play.runner": ("Play", "perform"),
    "harness.play.scenario": ("Scenario", "discover", "pick", "scenario"),
    "harness.play.stage": ("Stage", "Target"),
    "harness.stack": ("RunningStack", "StackOptions", "attach", "start_stack"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
