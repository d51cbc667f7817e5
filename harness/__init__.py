"""The harness: starts the stack, plays scenarios on it, proves that nothing was lost.

Scenarios, load tests and anybody's own scripts need no more than the names in here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.actors.actor import Actor, Chat, Job
    from harness.actors.admin import AdminActor
    from harness.actors.browser import BrowserActor
    from harness.actors.errors import (
        ActorError,
        FormRefused,
        LookError,
        NeedsControl,
        NotAccessible,
        NotPossible,
        NotSeen,
        Refused,
        SeenAnyway,
        Unreachable,
    )
    from harness.actors.pages import Page
    from harness.actors.web import WebActor
    from harness.browser.driver import Browsers
    from harness.browser.window import LAPTOP, PHONE, Window
    from harness.errors import HarnessError, NoBrowser
    from harness.faults.catalogue import FAULTS, Breach, fault
    from harness.play.errors import (
        LostDelivery,
        NeverSo,
        NobodyLeft,
        OverBudget,
        PeopleFileError,
        PlayError,
        PlayFailed,
        ScenarioNotFound,
        ScenarioUnusable,
        UncleanConsole,
    )
    from harness.play.happenings import FaultSpan, LogSlice
    from harness.play.moments import Moment
    from harness.play.observers import Observer, Step
    from harness.play.people import Person, Pool, read_people
    from harness.play.runner import Play, perform
    from harness.play.scenario import Scenario, discover, pick, scenario
    from harness.play.stage import Stage, Target
    from harness.services.choose import SERVICE_CHOICES
    from harness.stack import RunningStack, StackOptions, attach, start_stack

__all__ = [
    "FAULTS",
    "LAPTOP",
    "PHONE",
    "SERVICE_CHOICES",
    "Actor",
    "ActorError",
    "AdminActor",
    "Breach",
    "BrowserActor",
    "Browsers",
    "Chat",
    "FaultSpan",
    "FormRefused",
    "HarnessError",
    "Job",
    "LogSlice",
    "LookError",
    "LostDelivery",
    "Moment",
    "NeedsControl",
    "NeverSo",
    "NoBrowser",
    "NobodyLeft",
    "NotAccessible",
    "NotPossible",
    "NotSeen",
    "Observer",
    "OverBudget",
    "Page",
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
    "UncleanConsole",
    "Unreachable",
    "WebActor",
    "Window",
    "attach",
    "discover",
    "fault",
    "perform",
    "pick",
    "read_people",
    "scenario",
    "start_stack",
]

# The supervisor and the quick commands import this package too: they must not wait for what they don't use.
_HOMES = {
    "harness.actors.actor": ("Actor", "Chat", "Job"),
    "harness.actors.admin": ("AdminActor",),
    "harness.actors.browser": ("BrowserActor",),
    "harness.actors.errors": (
        "ActorError",
        "FormRefused",
        "LookError",
        "NeedsControl",
        "NotAccessible",
        "NotPossible",
        "NotSeen",
        "Refused",
        "SeenAnyway",
        "Unreachable",
    ),
    "harness.actors.pages": ("Page",),
    "harness.actors.web": ("WebActor",),
    "harness.browser.driver": ("Browsers",),
    "harness.browser.window": ("LAPTOP", "PHONE", "Window"),
    "harness.errors": ("HarnessError", "NoBrowser"),
    "harness.faults.catalogue": ("FAULTS", "Breach", "fault"),
    "harness.play.errors": (
        "LostDelivery",
        "NeverSo",
        "NobodyLeft",
        "OverBudget",
        "PeopleFileError",
        "PlayError",
        "PlayFailed",
        "ScenarioNotFound",
        "ScenarioUnusable",
        "UncleanConsole",
    ),
    "harness.play.happenings": ("FaultSpan", "LogSlice"),
    "harness.play.moments": ("Moment",),
    "harness.play.observers": ("Observer", "Step"),
    "harness.play.people": ("Person", "Pool", "read_people"),
    "harness.play.runner": ("Play", "perform"),
    "harness.play.scenario": ("Scenario", "discover", "pick", "scenario"),
    "harness.play.stage": ("Stage", "Target"),
    "harness.services.choose": ("SERVICE_CHOICES",),
    "harness.stack": ("RunningStack", "StackOptions", "attach", "start_stack"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
