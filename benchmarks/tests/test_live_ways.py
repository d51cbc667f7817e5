from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import psycopg
import pytest

from benchmarks.live.ways import SQL_NUMBERS, Sql
from harness.stack import RunningStack


@pytest.mark.stack
def test_publishers_by_sql_do_not_take_each_others_numbers(stack: RunningStack) -> None:
    database = stack.environment["DATABASE_URL"]

    async def publish_one() -> None:
        async with AsyncExitStack() as ending:
            way = Sql(database=f"{database}?options=-csearch_path%3Dways", chat=7, writer=1)
            await way.prepare(ending)
            await way.publish(1)

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA ways")
        try:
            connection.execute(
                "CREATE TABLE ways.chat_message"
                " (chat_id int, sender_id int, client_id uuid, number bigint, text text, UNIQUE (chat_id, number))"
            )
            connection.execute("INSERT INTO ways.chat_message VALUES (8, 1, gen_random_uuid(), 2000000000)")
            for _ in range(2):
                asyncio.run(publish_one())
            found = connection.execute("SELECT number FROM ways.chat_message WHERE chat_id = 7 ORDER BY number")
            assert [number for (number,) in found] == [SQL_NUMBERS, SQL_NUMBERS + 1]
        finally:
            connection.execute("DROP SCHEMA ways CASCADE")
