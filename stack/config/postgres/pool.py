"""A connection pool that does not outlast the trouble of its server.

psycopg's own waits a second after the first attempt that failed, and ever longer after the next: a server that restarts
in a moment, or a database that is changed for another, would cost every process seconds.
"""

from __future__ import annotations

import time
from typing import Any, Self

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25


class PatientConnection(psycopg.Connection[Any]):
    """Tries again and again to connect, until ``connect_timeout`` is over."""

    @classmethod
    def connect(cls, conninfo: str = "", *, connect_timeout: int = 5, **kwargs: Any) -> Self:  # type: ignore[override]
        """
        Args:
            connect_timeout: seconds for all attempts together; one that has begun may take as long by itself.
        """
        deadline, pause = time.monotonic() + connect_timeout, _FIRST_PAUSE
        while True:
            try:
                return super().connect(conninfo, connect_timeout=connect_timeout, **kwargs)
            except psycopg.OperationalError:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


class Pool(ConnectionPool[psycopg.Connection[Any]]):
    """Gives out connections that work; where one is found dead, the other idle ones are looked at too."""

    def getconn(self, timeout: float | None = None) -> psycopg.Connection[Any]:
        """
        Args:
            timeout: seconds; by default the pool's own.

        Raises:
            PoolTimeout: there was no working connection in time.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = super().getconn(deadline - time.monotonic())
            try:
                self.check_connection(connection)
            except psycopg.Error:
                self.putconn(connection)
                if time.monotonic() > deadline:
                    raise PoolTimeout("no working connection in time") from None
                self.check()
            except BaseException:
                self.putconn(connection)
                raise
            else:
                return connection
