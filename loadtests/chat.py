"""Plays the chat scenario with ``web`` actors, as many at once as locust has users.

::

    harness manage actors --count 60 --json > people.json
    ACTORS=people.json locust -f loadtests/chat.py --host http://127.0.0.1:8000

``--host`` takes several base URLs, separated by commas: then each stage spreads its actors over them.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from locust import User, constant_pacing, events, task

from harness import HarnessError, Moment, Pool, Step, Target, discover, perform, pick, read_people

ACTORS = "ACTORS"
SCENARIO = "two_people_chat"
LIVE = "LIVE"
SENDING = ("POST", "/api/chats/:id/messages")
PLAY_EVERY = 12.0
"""Seconds from the begin of a user's play to the begin of the next, however long the first one takes."""
STOP_WITHIN = 75.0
"""Seconds that plays get to come to their end when the time is up; enough to notice that something is lost."""
STRETCH = 5.0
"""Under load a late delivery is a figure in the report; only one that never comes is a failure."""
PATIENCE = 120.0
"""Seconds that a stage waits for people whom other stages hold."""

log = logging.getLogger("loadtests")


class Reports:
    """An observer that tells locust: requests as they are, deliveries as requests of type LIVE."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self.has_sent = False

    def request(self, method: str, name: str, ms: float, error: str | None) -> None:
        self.has_sent = self.has_sent or (method, name) == SENDING
        self._tell(method, name, ms, error)

    def delivery(self, name: str, ms: float, error: str | None) -> None:
        self._tell(LIVE, name, ms, error)

    def step(self, step: Step) -> None:
        """Steps are a matter for an audience."""

    def moment(self, moment: Moment) -> None:
        """So are moments, which plays under load do not tell."""

    def play(self, name: str, ms: float, error: str | None) -> None:
        """A whole play ended."""
        self._tell("PLAY", name, ms, error)

    def _tell(self, kind: str, name: str, ms: float, error: str | None) -> None:
        self._environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=ms,
            response_length=0,
            exception=None if error is None else RuntimeError(error),
            context={},
        )


class ChatUser(User):
    """Plays the chat scenario again and again, each time on a stage of its own with people from the file."""

    wait_time = constant_pacing(PLAY_EVERY)

    @task
    def chat(self) -> None:
        """One play."""
        environment = self.environment
        reports = Reports(environment)
        ended = False
        try:
            play = perform(
                environment.chat_scenario,
                environment.chat_target,
                environment.chat_pool,
                observers=[reports],
                stretch=STRETCH,
                moments=False,
            )
            ended = True
            reports.play(play.scenario.name, play.seconds * 1000, play.error)
        finally:
            # Locust may also cut off a play that has just begun; then nothing was promised to anybody.
            if reports.has_sent and not ended:
                reports.play(SCENARIO, 0.0, "did not come to its end before locust stopped")


@events.init.add_listener  # type: ignore[untyped-decorator]
def prepare(environment: Any, **_: object) -> None:
    """Read the people and find the scenario, before anybody plays."""
    if not environment.host:
        sys.exit("Say what to load: --host http://127.0.0.1:8000")
    if not os.environ.get(ACTORS):
        sys.exit(f"Name a file of people: {ACTORS}=FILE, made by `harness manage actors --count 60 --json`.")
    try:
        people = read_people(Path(os.environ[ACTORS]))
        (environment.chat_scenario,) = pick(discover(), [SCENARIO])
    except HarnessError as error:
        sys.exit(f"{error} {error.hint}")
    environment.chat_pool = Pool(people, patience=PATIENCE, warn=log.warning)
    environment.chat_target = Target(backends=tuple(environment.host.split(",")))
    environment.stop_timeout = environment.stop_timeout or STOP_WITHIN


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Any, **_: object) -> None:
    """Nothing lost, and something delivered: else the exit code is 1."""
    live = [entry for (_, kind), entry in environment.stats.entries.items() if kind == LIVE]
    if any(entry.num_failures for entry in environment.stats.entries.values()):
        environment.process_exit_code = 1
    elif not any(entry.num_requests for entry in live):
        log.error("No message was delivered: this run proves nothing.")
        environment.process_exit_code = 1
