"""A connection pool that does not outlast the trouble of its server.

psycopg's own waits a second after the first attempt that failed, and ever longer after the next: a server that restarts
in a moment, or a database that is changed for another, would cost every process seconds.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout
from psycopg_pool.base import AttemptWithBackoff

from stack.config.postgres.connection import Connection, Silent


class QuickAttempt(AttemptWithBackoff):
    """Tries again at once, and then after a moment, until the pool's ``reconnect_timeout`` is over."""

    INITIAL_DELAY, LONGEST_DELAY = 0.02, 0.25

    def update_delay(self, now: float) -> None:
        super().update_delay(now)
        self.delay = min(self.delay, self.LONGEST_DELAY)


ANSWERS_WITHIN = 2.0
"""Seconds in which a server that works answers nothing with nothing, however much it has to do."""


class Pool(ConnectionPool[Connection]):
    """Gives out connections that work; where one is found dead, the other idle ones are looked at too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, connection_class=Connection, **kwargs)

    @staticmethod
    def check_connection(conn: Connection) -> None:
        """
        Raises:
            psycopg.Error: it is of no use any more.
        """
        with conn.answering_within(ANSWERS_WITHIN):
            ConnectionPool.check_connection(conn)

    def getconn(self, timeout: float | None = None) -> Connection:
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
            except psycopg.Error as error:
                self.putconn(connection)
                if time.monotonic() > deadline:
                    raise PoolTimeout("no working connection in time") from None
                # Those of a server that says nothing would each cost as long again.
                if not isinstance(error, Silent):
                    self.check()
            except BaseException:
                self.putconn(connection)
                raise
            else:
                return connection

    def _add_connection(self, attempt: AttemptWithBackoff | None, growing: bool = False) -> None:
        super()._add_connection(attempt or QuickAttempt(timeout=self.reconnect_timeout), growing=growing)
