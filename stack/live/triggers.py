"""Change capture: statement-level triggers that write what changed to the outbox, in the same transaction.

A table gets one function and trigger each for INSERT, UPDATE, DELETE and TRUNCATE, generated from what is registered on
it. They see every writer: the ORM in all its ways, SQL, COPY, other services. ``ENABLE ALWAYS`` keeps them on where
``session_replication_role`` would silence them. The functions run with their owner's rights, so that a role which may
write a table needs no right on the outbox; they look for tables where that role's temporary ones come last.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from stack.live.models import Outbox
from stack.live.registry import Entity, Membership, SignIn, registry
from stack.live.scopes import user_scope

PREFIX = "live_capture_"
OPERATIONS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")

# Two requests that save one session at once write its end in either order.
_SAME_END = "interval '1 minute'"

_TARGET = "INSERT INTO live_outbox (kind, name, key, scope, row)"


def quote(name: str) -> str:
    """An SQL identifier."""
    return connection.ops.quote_name(name)


@dataclass(frozen=True)
class Capture:
    """What one registration takes from a table's rows.

    Attributes:
        kind: the outbox row's kind.
        name: live type or table.
        key, scope, row: SQL expressions over a row's columns.
        compared: columns whose change counts.
        on_truncate: one SELECT of (kind, name, key, scope, row) over the whole table.
        on_insert: whether new rows count.
        until: SQL expression for the end of a row; bringing it forward counts, putting it off does not.
    """

    kind: str
    name: str
    key: str
    scope: str
    row: str
    compared: tuple[str, ...]
    on_truncate: str
    on_insert: bool = True
    until: str | None = None

    def statement(self, operation: str) -> str | None:
        """The INSERT into the outbox for one operation, or None if it does not concern this capture."""
        if operation == "TRUNCATE":
            return f"{_TARGET} {self.on_truncate};"
        if operation == "INSERT":
            return self._insert("new_rows") if self.on_insert else None
        if operation == "DELETE":
            return self._insert("old_rows")
        fields = ", ".join(
            [
                f"{self.key} AS live_key",
                f"{self.scope} AS live_scope",
                f"{self.row} AS live_row",
                *map(quote, self.compared),
            ]
        )
        gone = f"SELECT {fields} FROM old_rows EXCEPT ALL SELECT {fields} FROM new_rows"
        come = f"SELECT {fields} FROM new_rows EXCEPT ALL SELECT {fields} FROM old_rows"
        # EXCEPT compares whole rows, so a changed key needs no join; rows that stay the same drop out on both sides.
        changed = f"({gone}) UNION ALL ({come})" if self.on_insert else gone
        if self.until is not None:
            # By groups for the same reason. A row that became another one, or is over, has no end behind its old one.
            rest = f"CASE WHEN {self.until} > clock_timestamp() THEN {self.until} END"
            changed = (
                "SELECT live_key, live_scope, live_row FROM ("
                f"SELECT {fields}, {self.until} AS live_was, NULL AS live_is FROM old_rows UNION ALL "
                f"SELECT {fields}, NULL, {rest} FROM new_rows) AS e "
                f"GROUP BY live_key, live_scope, live_row, {', '.join(map(quote, self.compared))} "
                f"HAVING max(live_was) > coalesce(max(live_is) + {_SAME_END}, '-infinity')"
            )
        return (
            f"{_TARGET} SELECT DISTINCT '{self.kind}', '{self.name}', d.live_key, d.live_scope, d.live_row "
            f"FROM ({changed}) AS d WHERE d.live_scope IS NOT NULL AND d.live_key IS NOT NULL;"
        )

    def _insert(self, rows: str) -> str:
        return (
            f"{_TARGET} SELECT '{self.kind}', '{self.name}', d.live_key, d.live_scope, d.live_row "
            f"FROM (SELECT {self.key} AS live_key, {self.scope} AS live_scope, {self.row} AS live_row "
            f"FROM {rows}) AS d "
            "WHERE d.live_scope IS NOT NULL AND d.live_key IS NOT NULL;"
        )


def entity_capture(entity: Entity) -> Capture:
    """Changed rows of a live type, with the scope they lay or lie in."""
    scope = entity.scope.sql({c: quote(entity.column(c)) for c in entity.scope.columns})
    key = f"{quote(entity.pk_column)}::text"
    truncate = (
        f"SELECT DISTINCT '{Outbox.Kind.STALE}', '{entity.name}', '', {scope}, NULL::jsonb "
        f"FROM {quote(entity.table)} WHERE ({scope}) IS NOT NULL"
    )
    return Capture(
        Outbox.Kind.ENTITY,
        entity.name,
        key,
        scope,
        "NULL::jsonb",
        entity.synced_columns,
        on_truncate=truncate,
    )


def membership_capture(table: str, columns: Iterable[str]) -> Capture:
    """Changed rows of a table that memberships read, before and after, with the columns they read."""
    read = tuple(sorted(columns))
    pairs = ", ".join(f"'{column}', {quote(column)}" for column in read)
    truncate = f"SELECT '{Outbox.Kind.MEMBERSHIP}', '{table}', '', '', NULL::jsonb"
    return Capture(
        Outbox.Kind.MEMBERSHIP, table, "''", "''", f"jsonb_build_object({pairs})", read, on_truncate=truncate
    )


def sign_in_capture(sign_in: SignIn) -> Capture:
    """Sign-in state that ended; sessions are named by digest, so that no key reaches the log."""
    meta = sign_in.model._meta

    def column(name: str) -> str:
        return str(meta.get_field(name).column)  # type: ignore[union-attr]

    scope = f"'{user_scope(0)[:-1]}' || {quote(column(sign_in.user))}::text"
    until = quote(column(sign_in.expires)) if sign_in.expires else None
    if until:
        scope = f"CASE WHEN {until} > now() THEN {scope} END"
    key = f"encode(sha256(convert_to({quote(column(sign_in.session))}, 'UTF8')), 'hex')" if sign_in.session else "''"
    compared = tuple(column(c) for c in (sign_in.user, sign_in.session, *sign_in.columns) if c)
    truncate = (
        f"SELECT DISTINCT '{Outbox.Kind.CLOSE}', '{meta.db_table}', '', {scope}, NULL::jsonb "
        f"FROM {quote(meta.db_table)} WHERE ({scope}) IS NOT NULL"
    )
    return Capture(
        Outbox.Kind.CLOSE,
        meta.db_table,
        key,
        scope,
        "NULL::jsonb",
        compared,
        on_truncate=truncate,
        on_insert=False,
        until=until,
    )


def columns_read(cursor: CursorWrapper, membership: Membership) -> Mapping[str, frozenset[str]]:
    """Which tables and columns a membership's query reads, as Postgres itself resolves them."""
    sql, parameters = membership.sql()
    # In one transaction, as a pooler may give the next one another session.
    with transaction.atomic():
        cursor.execute(f"CREATE TEMPORARY VIEW live_probe AS {sql}", parameters)
        cursor.execute(
            """
            SELECT DISTINCT source.relname, attribute.attname
            FROM pg_rewrite rule
            JOIN pg_depend dependency ON dependency.classid = 'pg_rewrite'::regclass AND dependency.objid = rule.oid
                AND dependency.refclassid = 'pg_class'::regclass AND dependency.refobjid <> rule.ev_class
            JOIN pg_class source ON source.oid = dependency.refobjid AND source.relkind IN ('r', 'p')
            JOIN pg_attribute attribute ON attribute.attrelid = source.oid AND attribute.attnum > 0
                AND NOT attribute.attisdropped
                AND (dependency.refobjsubid = 0 OR attribute.attnum = dependency.refobjsubid)
            WHERE rule.ev_class = 'pg_temp.live_probe'::regclass
              AND (dependency.refobjsubid > 0 OR NOT EXISTS (
                SELECT FROM pg_depend finer WHERE finer.objid = rule.oid AND finer.refobjid = source.oid
                    AND finer.classid = 'pg_rewrite'::regclass AND finer.refobjsubid > 0))
            """
        )
        found: dict[str, set[str]] = defaultdict(set)
        for table, column in cursor.fetchall():
            found[table].add(column)
        cursor.execute("DROP VIEW live_probe")
    return {table: frozenset(columns) for table, columns in found.items()}


def captures(cursor: CursorWrapper) -> dict[str, list[Capture]]:
    """Table -> everything that has to be taken from it."""
    found: dict[str, list[Capture]] = defaultdict(list)
    for entity in registry.entities.values():
        found[entity.table].append(entity_capture(entity))
    read: dict[str, set[str]] = defaultdict(set)
    for membership in registry.memberships.values():
        for table, columns in columns_read(cursor, membership).items():
            read[table] |= columns
    for table in sorted(read):
        found[table].append(membership_capture(table, read[table]))
    for sign_in in registry.sign_ins:
        found[sign_in.model._meta.db_table].append(sign_in_capture(sign_in))
    return found


@dataclass(frozen=True)
class Trigger:
    """One trigger with its function, and the mark that tells whether the installed one is this one."""

    table: str
    operation: str
    body: str
    schema: str

    @property
    def name(self) -> str:
        # Postgres cuts identifiers at 63 bytes; two long tables must not meet in one name.
        table = self.table if len(self.table) <= 40 else hashlib.sha256(self.table.encode()).hexdigest()[:40]
        return f"{PREFIX}{table}_{self.operation.lower()}"

    @property
    def source(self) -> str:
        """What stands between the function's quotes; Postgres keeps it as it is."""
        return f" BEGIN {self.body} RETURN NULL; END "

    @property
    def mark(self) -> str:
        """What it is, and a digest of the function's source, by which anybody sees whether that was changed since."""
        made = hashlib.sha256("\n".join(self.statements("")).encode()).hexdigest()
        return f"{made} {hashlib.sha256(self.source.encode()).hexdigest()}"

    def statements(self, mark: str) -> Iterator[str]:
        table, name = quote(self.table), quote(self.name)
        tables = {
            "INSERT": "REFERENCING NEW TABLE AS new_rows",
            "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
            "DELETE": "REFERENCING OLD TABLE AS old_rows",
            "TRUNCATE": "",
        }[self.operation]
        when = "BEFORE" if self.operation == "TRUNCATE" else "AFTER"
        yield (
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path TO {quote(self.schema)}, pg_temp AS $live${self.source}$live$"
        )
        yield f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC"
        yield (
            f"CREATE OR REPLACE TRIGGER {name} {when} {self.operation} ON {table} {tables} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
        yield f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
        yield f"COMMENT ON TRIGGER {name} ON {table} IS '{mark}'"


def wanted(cursor: CursorWrapper) -> list[Trigger]:
    """The triggers that what is registered calls for."""
    triggers = []
    cursor.execute("SELECT current_schema()")
    (schema,) = cursor.fetchone()
    for table, parts in captures(cursor).items():
        for operation in OPERATIONS:
            body = " ".join(filter(None, (part.statement(operation) for part in parts)))
            if body:
                triggers.append(Trigger(table, operation, body, schema))
    return triggers
