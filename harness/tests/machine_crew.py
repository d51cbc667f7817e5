"""The simulated clients of a small world: some in a swarm, some with a thread of their own, all of them watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeVar

from websockets.exceptions import ConnectionClosed

from harness.actors.http import SESSION_COOKIE
from harness.live import LiveStore, State, Swarm, SyncLive
from harness.live.store import JSON
from harness.stack import RunningStack
from harness.tests.helpers import eventually
from harness.tests.machine_watch import Watch

T = TypeVar("T")

LIVE_WITHIN = 45.0
_OUT_WITHIN = 10.0
_START_EVERY = 0.5


class Crew:
    """Clients 0 to N - 1 are one device each of N people, in a swarm; `more` are second devices of the first people.

    Args:
        users: the people's ids.
        hidden: by person, the marks that they may never see.
        new_session: makes a session for a person; its key.
    """

    def __init__(
        self,
        stack: RunningStack,
        users: list[int],
        *,
        more: int,
        hidden: Mapping[int, set[str]],
        new_session: Callable[[int], str],
    ) -> None:
        self.person_of = [*range(len(users)), *range(more)]
        self.backends = stack.backends
        self._new_session = new_session
        self._cookies = [{"Cookie": f"{SESSION_COOKIE}={new_session(person)}"} for person in self.person_of]
        self.watches = [
            Watch(f"client {number} (user {users[person]})", hidden[person])
            for number, person in enumerate(self.person_of)
        ]
        self._swarm = Swarm(stack.backends, self._cookies[: len(users)], on_frame=self._told, seed=len(users))
        self._sync = [self._sync_client(number) for number in range(len(users), len(self.person_of))]

    def __len__(self) -> int:
        return len(self.person_of)

    @property
    def events(self) -> int:
        """How many came in at all of them together."""
        return sum(watch.events for watch in self.watches)

    def session(self, client: int) -> str:
        """The key of the session that the client uses."""
        return self._cookies[client]["Cookie"].partition("=")[2]

    def start(self, client: int) -> None:
        if client < len(self._swarm):
            self._swarm.start([client])
        else:
            self._sync[client - len(self._swarm)].start()

    def cut(self, client: int) -> None:
        if client < len(self._swarm):
            self._swarm.cut([client])
        else:
            self._sync[client - len(self._swarm)].cut()

    def move(self, backend: int) -> None:
        """Whoever of the swarm connects from now on does so to this backend."""
        self._swarm.move(self.backends[backend % len(self.backends)])

    def load_older(self, client: int, scope: str) -> None:
        if client < len(self._swarm):
            self._swarm.load_older(client, scope, "message")
            return
        # A connection that ends just now is as good as none.
        with suppress(ConnectionClosed):
            self._sync[client - len(self._swarm)].load_older(scope, "message")

    def everybody_is_live(self, is_session: Callable[[str], bool]) -> None:
        """Sign in whoever is signed out, connect whoever is not connected, and wait."""
        for client in range(len(self)):
            if not is_session(self.session(client)):
                # Its end must end the connection: nobody asks for that here.
                eventually(partial(self._is_out, client), within=_OUT_WITHIN, what=f"client {client} is out")
                self._cookies[client]["Cookie"] = f"{SESSION_COOKIE}={self._new_session(self.person_of[client])}"
        deadline = time.monotonic() + LIVE_WITHIN
        while True:
            for client in range(len(self)):
                # Whoever was just connecting with a session that had ended has stopped.
                self.start(client)
            if self._are_live(within=_START_EVERY):
                return
            told = [f"{live.state} {live.error}" for live in self._sync if live.state is not State.LIVE]
            assert time.monotonic() < deadline, f"not live: {self._swarm.troubles()} {told}"

    def is_live(self, client: int) -> bool:
        if client < len(self._swarm):
            return self._swarm.counts([client]).live == 1
        return self._sync[client - len(self._swarm)].state is State.LIVE

    def wait_live(self, client: int, *, within: float) -> bool:
        if client < len(self._swarm):
            return self._swarm.wait_live(within=within, some=[client])
        return self._sync[client - len(self._swarm)].wait_live(within=within)

    def read(self, client: int, reader: Callable[[LiveStore], T]) -> T:
        if client < len(self._swarm):
            return self._swarm.read(client, reader)
        return self._sync[client - len(self._swarm)].read(reader)

    def wait(self, client: int, until: Callable[[LiveStore], bool], within: float) -> bool:
        if client < len(self._swarm):
            return self._swarm.wait(until, within=within, some=[client])
        return self._sync[client - len(self._swarm)].wait(until, within=within)

    def check(self) -> None:
        """Nothing was wrong with anything that any of them was told."""
        for client, watch in enumerate(self.watches):
            self.read(client, watch.quiet)
        wrongs = [wrong for watch in self.watches for wrong in watch.wrongs]
        assert not wrongs, "\n".join(wrongs[:20])

    def close(self) -> None:
        self._swarm.close()
        for live in self._sync:
            live.close()

    def _is_out(self, client: int) -> bool:
        return not self.is_live(client)

    def _are_live(self, *, within: float) -> bool:
        deadline = time.monotonic() + within
        rest = self._swarm.wait_live(within=within)
        return rest and all(live.wait_live(within=max(0.05, deadline - time.monotonic())) for live in self._sync)

    def _sync_client(self, number: int) -> SyncLive:
        base, store = self.backends[number % len(self.backends)], LiveStore()
        return SyncLive(
            f"ws{base.removeprefix('http')}/live",
            origin=base,
            headers=partial(dict, self._cookies[number]),
            on_frame=partial(self._told, number, store),
            store=store,
        )

    def _told(self, client: int, store: LiveStore, frame: JSON) -> None:
        self.watches[client].applied(store, frame)
