"""Tables of the live engine. Feature apps never touch them: triggers write the outbox, the relay writes the rest."""

from __future__ import annotations

from django.db import models


class Outbox(models.Model):
    """A change that is committed and not yet an event. Consumed by presence: taken rows are deleted."""

    class Kind(models.TextChoices):
        ENTITY = "entity"
        STALE = "stale"
        MEMBERSHIP = "membership"
        CLOSE = "close"

    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.TextField(help_text="Live type, or table of a membership")
    key = models.TextField(default="", help_text="Entity's id, or digest of the session to close")
    scope = models.TextField(default="")
    row = models.JSONField(null=True, help_text="Columns of a row that a membership reads; null: all of them")

    class Meta:
        db_table = "live_outbox"
        indexes = [models.Index(name="live_outbox_rest", fields=["id"], condition=~models.Q(kind="entity"))]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.key} in {self.scope}"


class Event(models.Model):
    """An entry of the event log."""

    seq = models.BigIntegerField(primary_key=True)
    scope = models.TextField()
    prev = models.BigIntegerField(help_text="The previous seq of this scope, 0 if none")
    ops = models.TextField(help_text="JSON array, kept as text so that it is encoded once")
    control = models.BooleanField(help_text="Holds ops that hubs act on: enter, leave, close")
    at = models.DateTimeField()

    class Meta:
        db_table = "live_event"
        indexes = [models.Index(name="live_event_scope", fields=["scope", "seq"])]

    def __str__(self) -> str:
        return f"{self.seq} {self.scope}"


class ScopeHead(models.Model):
    """The last seq of a scope; outlives the events that retention deletes, so that ``prev`` is always true."""

    scope = models.TextField(primary_key=True)
    seq = models.BigIntegerField()

    class Meta:
        db_table = "live_scope"

    def __str__(self) -> str:
        return f"{self.scope} at {self.seq}"


class Head(models.Model):
    """The one row that says where the event log stands. Whoever holds its lock may append."""

    id = models.SmallIntegerField(primary_key=True)
    seq = models.BigIntegerField()
    life = models.TextField(help_text="Names this life of the log; part of the epoch")
    began = models.BigIntegerField(db_default=0, help_text="The seq at which this life began")
    schema_hash = models.TextField(default="", help_text="What the relay had registered when it took the lead")

    class Meta:
        db_table = "live_head"

    def __str__(self) -> str:
        return f"head at {self.seq}"


class MembershipRow(models.Model):
    """Who sees which scope, as the relay last evaluated it: the base of enter and leave, and of hubs at connect."""

    source = models.TextField(help_text="Which registered membership")
    scope = models.TextField()
    viewer = models.BigIntegerField()

    class Meta:
        db_table = "live_membership"
        constraints = [models.UniqueConstraint(name="live_membership_once", fields=["source", "scope", "viewer"])]
        indexes = [
            models.Index(name="live_membership_viewer", fields=["viewer", "scope"]),
            models.Index(name="live_membership_scope", fields=["scope", "viewer"]),
        ]

    def __str__(self) -> str:
        return f"{self.viewer} in {self.scope}"


class Leader(models.Model):
    """Heartbeat of the leading relay: which database session it is, so that a standby can end a frozen one."""

    id = models.SmallIntegerField(primary_key=True)
    pid = models.IntegerField()
    started = models.DateTimeField(help_text="backend_start of that database session")
    at = models.DateTimeField()

    class Meta:
        db_table = "live_leader"

    def __str__(self) -> str:
        return f"relay of session {self.pid}"
