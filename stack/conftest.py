from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, connections, transaction
from pytest_django.plugin import DjangoDbBlocker

_KEPT = {ContentType._meta.db_table, Permission._meta.db_table}


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database whose commits are real, emptied afterwards.

    Django's own way empties by TRUNCATE and reinstalls what migrations would, which takes a second a test.
    """
    with django_db_blocker.unblock():
        yield
        tables = [model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed]
        with transaction.atomic(), connection.cursor() as cursor:
            for table in tables:
                if table not in _KEPT:
                    cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
            # What the deletions themselves left behind.
            cursor.execute("DELETE FROM live_outbox")
        connections.close_all()
