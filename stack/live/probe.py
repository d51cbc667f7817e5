"""A change that harms nobody, and where it came to lie in the log: proof that changes travel.

Two SQL functions, so that whoever watches over a deployment needs a database login and nothing of this code:
``live_probe()`` makes the change and returns its number; ``live_probed(number)`` returns no row until the change has
become an event, then one: the log's epoch, and a seq at or behind that event.
"""

from __future__ import annotations

import hashlib

from django.db.backends.utils import CursorWrapper

from stack.live.log import EPOCH
from stack.live.models import Outbox

SCOPE = "probe"
"""Nobody is ever in it: hubs read its events and give them to no socket."""

_FUNCTIONS = {
    "live_probe": f"""
        CREATE OR REPLACE FUNCTION live_probe() RETURNS bigint LANGUAGE sql VOLATILE AS $live$
            INSERT INTO live_outbox (kind, name, key, scope, row)
            VALUES ('{Outbox.Kind.STALE}', '', '', '{SCOPE}', NULL) RETURNING id
        $live$
    """,
    "live_probed": f"""
        CREATE OR REPLACE FUNCTION live_probed(number bigint) RETURNS TABLE (epoch text, seq bigint)
        LANGUAGE sql STABLE AS $live$
            SELECT {EPOCH}, s.seq FROM live_head h JOIN live_scope s ON s.scope = '{SCOPE}'
            WHERE h.id = 1 AND NOT EXISTS (SELECT FROM live_outbox WHERE id = number)
        $live$
    """,
}
_SIGNATURES = {"live_probe": "live_probe()", "live_probed": "live_probed(bigint)"}


def problems(cursor: CursorWrapper) -> list[str]:
    """Which functions are missing or not those of this code."""
    present = _installed(cursor)
    return [
        f"function {name} is {'stale' if name in present else 'missing'}"
        for name, statement in _FUNCTIONS.items()
        if present.get(name) != _mark(statement)
    ]


def install(cursor: CursorWrapper) -> list[str]:
    """Bring the functions in step with the code.

    Returns:
        The names of those that were made or replaced.
    """
    present = _installed(cursor)
    changed = [name for name, statement in _FUNCTIONS.items() if present.get(name) != _mark(statement)]
    for name in changed:
        cursor.execute(_FUNCTIONS[name])
        cursor.execute(f"REVOKE ALL ON FUNCTION {_SIGNATURES[name]} FROM PUBLIC")
        cursor.execute(f"COMMENT ON FUNCTION {_SIGNATURES[name]} IS '{_mark(_FUNCTIONS[name])}'")
    return changed


def _mark(statement: str) -> str:
    return hashlib.sha256(statement.encode()).hexdigest()


def _installed(cursor: CursorWrapper) -> dict[str, str]:
    cursor.execute(
        "SELECT proname, obj_description(oid, 'pg_proc') FROM pg_proc "
        "WHERE proname = ANY(%s) AND pronamespace = current_schema()::regnamespace",
        [list(_FUNCTIONS)],
    )
    return {name: mark or "" for name, mark in cursor.fetchall()}
