"""What the triggers write to the outbox: also where somebody would bend them, and when sessions end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction

from stack.accounts.models import Profile, Session, User
from stack.chat.models import Chat
from stack.live.frames import Close
from stack.live.identity import session_digest
from stack.live.models import Outbox
from stack.live.testing import Client, Engine, Store

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def engine(transactional_db: None, live_store: Callable[[], Store]) -> Engine:
    return Engine(live_store)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_temporary_table_does_not_take_what_is_written(engine: Engine) -> None:
    chat = Chat.objects.create()
    engine.drain()
    with transaction.atomic():
        execute("CREATE TEMP TABLE live_outbox (LIKE public.live_outbox INCLUDING ALL)")
        Chat.objects.filter(pk=chat.pk).update(title="mine")
        execute("DROP TABLE pg_temp.live_outbox")
        assert [row.scope for row in Outbox.objects.all()] == [f"chat:{chat.pk}"]


class TestEndsOfSessions:
    """By statements of their own, as Django writes a session by its key."""

    @pytest.fixture
    def phone(self, engine: Engine) -> Client:
        anna = User.objects.create(username="anna")
        Profile.objects.create(user=anna)
        Session.objects.create(session_key="phone", expire_date="2100-01-01T00:00Z", user=anna)
        Session.objects.create(session_key="desk", expire_date="2100-01-01T00:00Z", user=anna)
        engine.drain()
        return engine.connect(anna.pk, session=session_digest("phone"))

    @pytest.mark.parametrize("end", ["'2099-01-01'", "now()", "'2001-01-01'", "clock_timestamp()", "'-infinity'"])
    def test_an_end_brought_forward_closes_its_sockets(self, engine: Engine, phone: Client, end: str) -> None:
        desk = engine.connect(phone.user, session=session_digest("desk"))
        execute(f"UPDATE accounts_session SET expire_date = {end} WHERE session_key = 'phone'")
        engine.drain()
        assert (phone.closed, desk.closed) == (Close.SIGNED_OUT, None)

    @pytest.mark.parametrize("left", ["1 year", "30 seconds"])
    def test_also_late_in_a_transaction_and_cleared_out_by_it(self, engine: Engine, phone: Client, left: str) -> None:
        execute(f"UPDATE accounts_session SET expire_date = now() + interval '{left}'")
        engine.drain()
        phone.closed = None
        with transaction.atomic():
            execute("SELECT pg_sleep(0.002)")
            execute("UPDATE accounts_session SET expire_date = clock_timestamp() WHERE session_key = 'phone'")
            execute("DELETE FROM accounts_session WHERE expire_date < clock_timestamp()")
        engine.drain()
        assert phone.closed == Close.SIGNED_OUT

    @pytest.mark.parametrize(
        "change",
        [
            "expire_date = '2101-01-01'",
            "expire_date = 'infinity'",
            "expire_date = expire_date - interval '1 second'",
            "session_data = 'other'",
        ],
    )
    def test_one_that_is_put_off_or_stays_closes_nothing(self, engine: Engine, phone: Client, change: str) -> None:
        execute(f"UPDATE accounts_session SET {change}")
        assert not Outbox.objects.exists()

    def test_many_ends_moved_by_one_statement_are_told_apart(self, engine: Engine, phone: Client) -> None:
        execute(
            "UPDATE accounts_session SET expire_date = "
            "CASE session_key WHEN 'desk' THEN timestamptz '2001-01-01' ELSE '2101-01-01' END"
        )
        assert [row.key for row in Outbox.objects.all()] == [session_digest("desk")]

    def test_one_that_is_over_is_cleared_out_without_a_word(self, engine: Engine, phone: Client) -> None:
        execute("UPDATE accounts_session SET expire_date = '2001-01-01'")
        engine.drain()
        execute("DELETE FROM accounts_session")
        assert not Outbox.objects.exists()

    def test_another_key_or_user_still_closes(self, engine: Engine, phone: Client) -> None:
        execute(
            "UPDATE accounts_session SET session_key = 'other', expire_date = '2101-01-01' WHERE session_key = 'phone'"
        )
        engine.drain()
        assert phone.closed == Close.SIGNED_OUT
