"""Everything that can be expected to go wrong, as one tree.

::

    HarnessError                       exit 1
    ├── NotRunning                     3   there is no such stack, or no such resource in it
    ├── AlreadyRunning                 4   this checkout has a stack up already
    ├── PortTaken                      5   another program listens on a port that is needed
    ├── DiskFull                       6   no room for data, logs or caches
    ├── SourceUnusable                 7   a service cannot come from the source asked for
    ├── DataUnusable                   8   the kept data cannot be used by this version or right now
    ├── SupervisorGone                 9   the supervisor of a run ended without being asked to
    ├── ManageFailed                   12  a management command that the harness itself needs failed
    ├── StateFailed                    13  a named state of the database could not be kept or restored
    │   └── NotFollowed                23  ... it was restored, but no change of it has arrived in time
    ├── PlaceUnusable                  16  a folder or file that the harness needs cannot be used
    ├── SupervisorSilent               17  the supervisor of a run lives, but has not answered in time
    ├── NodeMissing                    18  there is no Node.js that the front end could be built and served with
    ├── BuildFailed                    19  the front end's packages or the front end itself could not be built
    ├── NoBrowser                      20  there is no Chromium that runs, and none could be installed
    ├── EngineMissing                  21  no container engine answers, and none could be started
    ├── TargetUnusable                 24  no deployment of this stack answers at the address to play against
    ├── TargetGuarded                  25  nobody has said that a deployment that is not for tests may be written to
    └── ResourceFailed                 10  a resource ended before it was ready
        ├── ServiceDidNotStart         10  ... and it was Postgres or Redis
        └── NotReady                   11  ... or lived, but did not prove in time that it is ours

Each has one sentence for people (``str(error)``) and the next step to take (``error.hint``).
"""

from __future__ import annotations

from typing import ClassVar


class HarnessError(Exception):
    """Expected trouble: one sentence, what to do next, an exit code."""

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint


class NotRunning(HarnessError):
    """There is no such stack, or no such resource in it."""

    exit_code = 3


class AlreadyRunning(HarnessError):
    """This checkout has a stack up already; it was left alone."""

    exit_code = 4

    def __init__(self, sentence: str, *, hint: str = "", run: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.run = run


class PortTaken(HarnessError):
    """Another program listens on a port that is needed."""

    exit_code = 5


class DiskFull(HarnessError):
    """No room for data, logs or caches."""

    exit_code = 6


class SourceUnusable(HarnessError):
    """A service cannot come from the source asked for."""

    exit_code = 7


class DataUnusable(HarnessError):
    """The kept data cannot be used by this version or right now."""

    exit_code = 8


class SupervisorGone(HarnessError):
    """The supervisor of a run ended without being asked to."""

    exit_code = 9


class ManageFailed(HarnessError):
    """A management command that the harness itself needs failed."""

    exit_code = 12


class StateFailed(HarnessError):
    """A named state of the database could not be kept or restored."""

    exit_code = 13


class NotFollowed(StateFailed):
    """The database is in the state, but a change of it has not arrived everywhere. ``resources`` are behind."""

    exit_code = 23

    def __init__(self, sentence: str, *, hint: str = "", resources: tuple[str, ...] = ()) -> None:
        super().__init__(sentence, hint=hint)
        self.resources = resources


class PlaceUnusable(HarnessError):
    """A folder or file that the harness needs cannot be used: somebody else's, read-only, not a folder."""

    exit_code = 16


class SupervisorSilent(HarnessError):
    """The supervisor of a run lives, but has not answered in time."""

    exit_code = 17


class NodeMissing(HarnessError):
    """There is no Node.js that the front end could be built and served with."""

    exit_code = 18


class BuildFailed(HarnessError):
    """The front end's packages or the front end itself could not be built. ``lines`` end the tool's log."""

    exit_code = 19

    def __init__(self, sentence: str, *, hint: str = "", lines: tuple[str, ...] = ()) -> None:
        super().__init__(sentence, hint=hint)
        self.lines = lines


class NoBrowser(HarnessError):
    """There is no Chromium that runs, and none could be installed."""

    exit_code = 20


class EngineMissing(HarnessError):
    """No container engine answers, and none could be started."""

    exit_code = 21


class TargetUnusable(HarnessError):
    """No deployment of this stack answers at the address to play against."""

    exit_code = 24


class TargetGuarded(HarnessError):
    """Nobody has said that a deployment that is not for tests may be written to; it was left alone."""

    exit_code = 25


class ResourceFailed(HarnessError):
    """A resource ended before it was ready. ``lines`` are the last ones of its log."""

    exit_code = 10

    def __init__(self, sentence: str, *, hint: str = "", resource: str = "", lines: tuple[str, ...] = ()) -> None:
        super().__init__(sentence, hint=hint)
        self.resource = resource
        self.lines = lines


class ServiceDidNotStart(ResourceFailed):
    """Postgres or Redis ended before it was ready."""


class NotReady(ResourceFailed):
    """A resource lived, but did not prove in time that it is this run's."""

    exit_code = 11
