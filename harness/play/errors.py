"""What can go wrong with a play, apart from what its actors see.

::

    HarnessError
    └── PlayError            a scenario could not be played
        ├── ScenarioNotFound     exit 2
        ├── NeedsTerminal        2
        ├── NobodyLeft           13
        ├── ScenarioUnusable     14
        └── PeopleFileError      15
    AssertionError
    └── PlayFailed           it was played, and the stack did not do what it says
        ├── LostDelivery
        ├── NeverSo
        ├── OverBudget
        └── UncleanConsole
"""

from __future__ import annotations

from harness.errors import HarnessError


class PlayError(HarnessError):
    """Root of everything that keeps a scenario from being played."""


class ScenarioNotFound(PlayError):
    """No scenario has this name, or there is no folder of scenarios."""

    exit_code = 2


class NeedsTerminal(PlayError):
    """Somebody is to be asked, and nobody can answer."""

    exit_code = 2


class NobodyLeft(PlayError):
    """The stack has too few people for the roles of a scenario."""

    exit_code = 13


class ScenarioUnusable(PlayError):
    """A scenario file can't be imported, or its name is taken."""

    exit_code = 14


class PeopleFileError(PlayError):
    """A file of people can't be read."""

    exit_code = 15


class PlayFailed(AssertionError):
    """Root of the verdicts on a play that ran: the stack did not do what the scenario says."""


class LostDelivery(PlayFailed):
    """Sent messages did not reach everyone who should have them."""


class NeverSo(PlayFailed):
    """Something that should have become true did not in time."""


class OverBudget(PlayFailed):
    """In a rehearsal, a step took longer than its budget."""


class UncleanConsole(PlayFailed):
    """In a window something went wrong that the scenario did not expect: an error, a failed request."""
