"""Everybody who writes: SQL, the ORM in bulk, and patience with what is broken meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg

from harness.actors.errors import Refused, Unreachable
from harness.folders import CHECKOUT
from harness.stack import RunningStack
from harness.stack.environment import process_environment

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which what nobody takes fails the test, however broken things are."""
_AGAIN_AFTER = 0.1

_INSERT = """
INSERT INTO chat_message (chat_id, sender_id, client_id, number, text)
SELECT id, %s, %s, last_number, %s FROM chat_chat WHERE id = %s ON CONFLICT (sender_id, client_id) DO NOTHING
"""

# Each request is a name of a function below and its arguments. All may be repeated.
_BULK = """
import json, sys
import django
django.setup()
from django.db import connections, transaction
from stack.chat import services
from stack.chat.models import Chat, ChatMember, Message, ReadMark

def send(chat, sender, ids, text):
    with transaction.atomic():
        there = {str(m.client_id) for m in Message.objects.filter(client_id__in=ids)}
        Message.objects.bulk_create([
            Message(chat_id=chat, sender_id=sender, client_id=i, number=services.next_number(chat), text=text)
            for i in ids if i not in there
        ])

def edit(ids, text):
    found = list(Message.objects.filter(client_id__in=ids))
    for message in found:
        message.text = text
    Message.objects.bulk_update(found, ["text"])

def update(ids, text):
    Message.objects.filter(client_id__in=ids).update(text=text)

def delete(ids):
    Message.objects.filter(client_id__in=ids).delete()

def mark(chat, users, number):
    ReadMark.objects.bulk_create(
        [ReadMark(chat_id=chat, user_id=user, number=number) for user in users],
        update_conflicts=True, unique_fields=["user", "chat"], update_fields=["number"],
    )

def retitle(chat, title):
    found = Chat.objects.get(pk=chat)
    found.title = title
    # Without what others count up meanwhile.
    found.save(update_fields=["title"])

def add(chat, user):
    ChatMember.objects.get_or_create(chat_id=chat, user_id=user)

def remove(chat, user):
    ChatMember.objects.filter(chat_id=chat, user_id=user).delete()

def drop(chat):
    Chat.objects.filter(pk=chat).delete()

print("{}", flush=True)
for line in sys.stdin:
    name, arguments = json.loads(line)
    try:
        globals()[name](**arguments)
        answer = {}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
        connections.close_all()
    print(json.dumps(answer), flush=True)
"""


class NotTaken(Exception):
    """The ORM could not write it."""


class Bulk:
    """The ORM in a process of its own that stays, as Django takes a second to load."""

    def __init__(self, stack: RunningStack) -> None:
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BULK],
            cwd=CHECKOUT,
            env=process_environment({**stack.environment, "PGAPPNAME": "bulk"}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def ask(self, name: str, **arguments: Any) -> None:
        """Call one of its functions. Raises `NotTaken`."""
        with self._turn:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps([name, arguments]) + "\n")
            self._process.stdin.flush()
            answer = self._answer()
        if "error" in answer:
            raise NotTaken(answer["error"])

    def close(self) -> None:
        self._process.communicate(timeout=PATIENCE)

    def _answer(self) -> dict[str, str]:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))


class Sql:
    """Plain SQL past everything that the project is made of."""

    def __init__(self, stack: RunningStack) -> None:
        self._url = stack.direct["DATABASE_URL"]

    def run(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        """Do these in one transaction. Raises `psycopg.Error`."""
        with self._connect() as connection:
            for statement, parameters in statements:
                connection.execute(statement.encode(), parameters)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a query finds. Raises `psycopg.Error`."""
        with self._connect() as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with psycopg.connect(self._url, connect_timeout=5, application_name="sql") as connection:
            yield connection


def send_by_sql(chat: int, sender: int, client_id: str, text: str) -> tuple[tuple[str, tuple[object, ...]], ...]:
    """The statements that send a message, once however often they are done."""
    return (
        ("UPDATE chat_chat SET last_number = last_number + 1 WHERE id = %s", (chat,)),
        (
            _INSERT,
            (sender, client_id, text, chat),
        ),
    )


def patiently(work: Callable[[], T]) -> T:
    """Do something that is harmless to repeat until it is taken, or refused for a reason that will not pass."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while True:
        try:
            return work()
        except Refused as error:
            if error.status < 500 or time.monotonic() > deadline:
                raise
        except (Unreachable, NotTaken, psycopg.OperationalError, psycopg.InterfaceError):
            if time.monotonic() > deadline:
                raise
        pause.wait(_AGAIN_AFTER)
