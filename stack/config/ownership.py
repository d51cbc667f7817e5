"""Whose database this is, told by its tables."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from stack.live.models import Head

# Those of extensions (PostGIS) are nobody's data.
TABLES = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (current_schemas(false))
      AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relname
"""


def tables() -> list[str]:
    """All tables where ours are or would be, by name."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        return [name for (name,) in cursor.fetchall()]


def foreign_tables() -> list[str]:
    """Tables of another application; none in a database of this stack, whatever else was put into it.

    A first preparation that was interrupted leaves a part of our tables, and that is ours too.
    """
    found = tables()
    if Head._meta.db_table in found:
        return []
    ours = {*connection.introspection.django_table_names(), MigrationRecorder.Migration._meta.db_table}
    return [name for name in found if name not in ours]
