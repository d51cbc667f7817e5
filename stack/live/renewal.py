"""Beginning the log anew from the rows as they are: after a restore, or a change too large to be told in events."""

from __future__ import annotations

from django.db import connection
from django.db.utils import OperationalError

from stack.live import log, memberships
from stack.live.db import is_serialization_failure, repeatable_read
from stack.live.log import Position
from stack.live.relay import schema_hash

_ATTEMPTS = 20


def start_over() -> Position:
    """Begin a new life of the log: memberships in step with the rows, nothing waits, no event is kept.

    Every client loads a snapshot, which holds what waited; who was signed out meanwhile is refused on coming back.
    Changes that are committed while this runs become events of the new life.

    Raises:
        OperationalError: Postgres is away, or a relay was first again and again.
    """
    with connection.cursor() as cursor:
        reads = memberships.tables_read(cursor)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with repeatable_read() as cursor:
                log.lock_head(cursor)
                log.begin_new_life(cursor)
                cursor.execute("UPDATE live_head SET schema_hash = %s WHERE id = 1", [schema_hash()])
                cursor.execute("DELETE FROM live_outbox")
                cursor.execute("DELETE FROM live_event")
                memberships.evaluate(cursor, None, reads)
                return log.read_head(cursor)
        except OperationalError as error:
            if attempt == _ATTEMPTS or not is_serialization_failure(error):
                raise
    raise AssertionError("the last attempt returns or raises")
