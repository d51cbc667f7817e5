"""A small world on a real stack: people with their apps open, all who write, and what must be true in the end."""

from __future__ import annotations

import secrets
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import httpx
import psycopg

from harness.actors.admin import AdminActor
from harness.actors.http import Http
from harness.live import LiveStore
from harness.live.store import JSON
from harness.play.moments import Chronicle
from harness.play.observers import Observers
from harness.play.people import Person
from harness.stack import RunningStack
from harness.tests.helpers import comes_true, eventually
from harness.tests.machine_crew import LIVE_WITHIN, Crew
from harness.tests.machine_writers import PATIENCE, Bulk, Sql, patiently, send_by_sql
from harness.tests.traffic import gone_is_fine

ALIKE_WITHIN = 30.0
_LOOK_AGAIN = 1.0
_NOTED_WITHIN = 1.0

OWNER = 0
"""Who owns the chats, sends by REST and never leaves."""


@dataclass(frozen=True)
class Subject:
    """Somebody whose data an admin changes."""

    label: str
    user: int


@dataclass
class Chat:
    """A chat as it has to be once everything has been taken: texts by client id, and who is in it."""

    id: int
    members: set[int]
    title: str = ""
    texts: dict[str, str] = field(default_factory=dict)


class World:
    """Writes are taken one after the other for each way to write, and side by side for different ones.

    Each touches only what is its own, so that it is known what has to come of all of them.

    Args:
        found: the people, with a session each that is never signed out.
        more: how many have a second device, with a thread of its own.
    """

    def __init__(self, stack: RunningStack, found: list[tuple[int, str]], bulk: Bulk, *, more: int) -> None:
        self.stack = stack
        self.users = [user for user, _session in found]
        self.sql, self.bulk = Sql(stack), bulk
        self.hidden: dict[int, set[str]] = defaultdict(set)
        self.chats: list[Chat] = []
        self.profiles: dict[tuple[int, str], str] = {}
        self.jobs: set[int] = set()
        self._keys = [session for _user, session in found]
        self._number = count(1)
        self._pools = {way: ThreadPoolExecutor(1, way) for way in ("rest", "admin", "bulk", "sql", "members")}
        self._pending: list[tuple[str, Future[None]]] = []
        self._http = [self._signed_in(number) for number in range(len(found))]
        admin = next(user for user in stack.users if user.role == "admin")
        self._admin = AdminActor(
            Person(name=admin.name, password=admin.password),
            base=stack.backends[-1],
            observer=Observers(),
            chronicle=Chronicle(None),
        )
        self.crew = Crew(stack, self.users, more=more, hidden=self.hidden, new_session=self._new_session)

    def open(self) -> None:
        """Start two chats, and have everybody open the app."""
        self.start_chat()
        self.start_chat()
        self.crew.everybody_is_live(self._is_session)

    def sign_out(self, client: int) -> None:
        """End the session of one device; it signs in again when all are to be live."""
        key = self.crew.session(client)
        self._submit(
            "sql", "sign out", lambda: self.sql.run(("DELETE FROM accounts_session WHERE session_key = %s", (key,)))
        )

    # -- writing ----------------------------------------------------------------------------------------------------

    def start_chat(self) -> None:
        """With everybody in it."""
        body: JSON = {"title": f"chat {next(self._number)}", "members": self.users[1:]}
        made = patiently(lambda: self._http[OWNER].json("POST", "/api/chats", body))
        self.chats.append(Chat(int(made["id"]), set(range(len(self.users))), made["title"]))

    def drop_chat(self, index: int, way: str) -> None:
        """Delete a chat with all that is in it, and start another."""
        self.done()
        chat = self.chats.pop(index)
        if way == "rest":
            with gone_is_fine():
                patiently(lambda: self._http[OWNER].json("DELETE", f"/api/chats/{chat.id}"))
        else:
            patiently(lambda: self.bulk.ask("drop", chat=chat.id))
        self.start_chat()

    def send(self, way: str, chat: Chat, many: int) -> None:
        ids = [str(uuid.uuid4()) for _ in range(many)]
        text = f"{way} {next(self._number)}"
        owner = self.users[OWNER]

        def write() -> None:
            if way == "bulk":
                patiently(lambda: self.bulk.ask("send", chat=chat.id, sender=owner, ids=ids, text=text))
            for client_id in ids:
                if way == "sql":
                    statements = send_by_sql(chat.id, owner, client_id, text)
                    patiently(partial(self.sql.run, *statements))
                elif way == "rest":
                    body = {"client_id": client_id, "text": text}
                    patiently(partial(self._http[OWNER].json, "POST", f"/api/chats/{chat.id}/messages", body))
                chat.texts[client_id] = text

        self._submit(way, f"send {many} to {chat.id}", write)

    def edit(self, way: str, chat: Chat, how: str) -> None:
        """Change or delete half of what this way has sent to a chat; `how`: ``edit``, ``update``, ``delete``."""
        text = f"{way} {next(self._number)}"

        def write() -> None:
            ids = [i for i, told in list(chat.texts.items()) if told.startswith(f"{way} ")][::2]
            if not ids:
                return
            if way == "bulk":
                arguments = {"ids": ids} if how == "delete" else {"ids": ids, "text": text}
                patiently(lambda: self.bulk.ask(how, **arguments))
            elif how == "delete":
                patiently(lambda: self.sql.run(("DELETE FROM chat_message WHERE client_id = ANY(%s::uuid[])", (ids,))))
            else:
                change = "UPDATE chat_message SET text = %s WHERE client_id = ANY(%s::uuid[])"
                patiently(lambda: self.sql.run((change, (text, ids))))
            for client_id in ids:
                if how == "delete":
                    del chat.texts[client_id]
                else:
                    chat.texts[client_id] = text

        self._submit(way, f"{how} in {chat.id}", write)

    def rename(self, way: str, person: int) -> None:
        """Change one field of a profile, each way its own."""
        user, value = self.users[person], f"{way} {next(self._number)}"
        name = {"rest": "first_name", "sql": "last_name", "admin": "bio"}[way]

        def write() -> None:
            if way == "rest":
                patiently(lambda: self._http[person].json("PATCH", "/api/profile", {name: value}))
            elif way == "sql":
                change = "UPDATE accounts_profile SET last_name = %s WHERE user_id = %s"
                patiently(lambda: self.sql.run((change, (value, user))))
            else:
                patiently(lambda: self._admin.changes("profile", of=Subject(f"user {user}", user), bio=value))
            self.profiles[user, name] = value

        # The admin's form writes every field of the profile: nobody else may do so meanwhile.
        self._submit("admin", f"rename user {user} by {way}", write)

    def retitle(self, way: str, chat: Chat) -> None:
        """Change a chat's title, by one write at a time whichever the way is."""
        title = f"{way} {next(self._number)}"

        def write() -> None:
            if way == "bulk":
                patiently(lambda: self.bulk.ask("retitle", chat=chat.id, title=title))
            elif way == "rest":
                patiently(lambda: self._http[OWNER].json("PATCH", f"/api/chats/{chat.id}", {"title": title}))
            else:
                patiently(lambda: self.sql.run(("UPDATE chat_chat SET title = %s WHERE id = %s", (title, chat.id))))
            chat.title = title

        self._submit("admin", f"retitle {chat.id} by {way}", write)

    def run_job(self, person: int) -> None:
        """Have a Celery worker write."""

        def write() -> None:
            made = patiently(lambda: self._http[person].json("POST", "/api/jobs", {"kind": "data_report"}))
            self.jobs.add(int(made["id"]))

        self._submit("rest", f"a job of user {self.users[person]}", write)

    def read(self, chat: Chat) -> None:
        """Mark a chat read for everybody in it, at once."""
        users = [self.users[person] for person in chat.members]
        number = next(self._number)
        self._submit(
            "bulk",
            f"mark {chat.id}",
            lambda: patiently(lambda: self.bulk.ask("mark", chat=chat.id, users=users, number=number)),
        )

    def send_away(self, person: int, chat: Chat, way: str, *, back: str | None) -> None:
        """Take somebody out of a chat, write what they must not see and delete it again; then let them in again."""
        mark = f"hidden-{next(self._number)}"

        def write() -> None:
            self._leave(person, chat, way)
            self.hidden[person].add(mark)
            client_id = str(uuid.uuid4())
            patiently(partial(self.sql.run, *send_by_sql(chat.id, self.users[OWNER], client_id, mark)))
            self._until_noted()
            patiently(lambda: self.sql.run(("DELETE FROM chat_message WHERE client_id = %s", (client_id,))))
            if back is not None:
                self._enter(person, chat, back)

        self._submit("members", f"user {self.users[person]} leaves {chat.id} by {way}, back by {back}", write)

    def let_in(self, person: int, chat: Chat, way: str) -> None:
        self._submit("members", f"user {self.users[person]} enters {chat.id}", lambda: self._enter(person, chat, way))

    # -- what must be true ------------------------------------------------------------------------------------------

    def done(self) -> None:
        """Wait until everything that was to be written was taken."""
        while self._pending:
            what, future = self._pending.pop(0)
            try:
                future.result(PATIENCE)
            except TimeoutError as error:
                raise AssertionError(f"not taken within {PATIENCE:g} s: {what}") from error

    def comes_to_rest(self, *, within: float) -> bool:
        """Whether everything was taken and became events within so many seconds."""
        return comes_true(
            lambda: all(future.done() for _what, future in self._pending) and self._is_noted(), within=within
        )

    def is_whole(self) -> bool:
        """Whether every backend is ready."""
        try:
            return all(httpx.get(f"{b}/readyz", timeout=2, trust_env=False).is_success for b in self.stack.backends)
        except httpx.TransportError:
            return False

    def check(self) -> None:
        """Come to rest, and compare everything."""
        eventually(self.is_whole, within=LIVE_WITHIN, what="every backend is ready")
        self.done()
        self.crew.everybody_is_live(self._is_session)
        self._check_database()
        for client in range(len(self.crew)):
            self._check_alike(client)
        self.crew.check()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)
        self.crew.close()
        for http in self._http:
            http.close()
        self._admin.close()

    # -- inside -----------------------------------------------------------------------------------------------------

    def _submit(self, way: str, what: str, work: Callable[[], None]) -> None:
        self._pending.append((what, self._pools[way].submit(work)))

    def _leave(self, person: int, chat: Chat, way: str) -> None:
        user = self.users[person]
        if way == "rest":
            with gone_is_fine():
                patiently(lambda: self._http[OWNER].json("DELETE", f"/api/chats/{chat.id}/members/{user}"))
        elif way == "bulk":
            patiently(lambda: self.bulk.ask("remove", chat=chat.id, user=user))
        else:
            statement = "DELETE FROM chat_chatmember WHERE chat_id = %s AND user_id = %s"
            patiently(lambda: self.sql.run((statement, (chat.id, user))))
        chat.members.discard(person)

    def _enter(self, person: int, chat: Chat, way: str) -> None:
        user = self.users[person]
        if way == "rest":
            patiently(lambda: self._http[OWNER].json("POST", f"/api/chats/{chat.id}/members", {"user": user}))
        elif way == "bulk":
            patiently(lambda: self.bulk.ask("add", chat=chat.id, user=user))
        else:
            statement = (
                "INSERT INTO chat_chatmember (chat_id, user_id, role) VALUES (%s, %s, 'member') ON CONFLICT DO NOTHING"
            )
            patiently(lambda: self.sql.run((statement, (chat.id, user))))
        chat.members.add(person)

    def _is_noted(self) -> bool:
        try:
            return self.sql.rows("SELECT count(*) FROM live_outbox") == [(0,)]
        except psycopg.Error:
            return False

    def _until_noted(self) -> None:
        # So that it becomes an event of its own, unless the relay is what is broken.
        comes_true(self._is_noted, within=_NOTED_WITHIN)

    def _signed_in(self, person: int) -> Http:
        http = Http(self.stack.backends[person % len(self.stack.backends)], observer=Observers())
        http.use_session(self._keys[person])
        patiently(lambda: http.json("GET", "/api/session"))
        return http

    def _new_session(self, person: int) -> str:
        key = secrets.token_hex(16)
        copy = (
            "INSERT INTO accounts_session (session_key, session_data, expire_date, user_id)"
            " SELECT %s, session_data, expire_date, user_id FROM accounts_session WHERE session_key = %s"
        )
        patiently(lambda: self.sql.run((copy, (key, self._keys[person]))))
        return key

    def _is_session(self, key: str) -> bool:
        return bool(patiently(lambda: self.sql.rows("SELECT FROM accounts_session WHERE session_key = %s", key)))

    def _check_database(self) -> None:
        """What servers said they had taken is there, and nothing else."""
        ids = [chat.id for chat in self.chats]
        told = {(chat.id, client_id): text for chat in self.chats for client_id, text in chat.texts.items()}
        rows = self.sql.rows("SELECT chat_id, client_id::text, text FROM chat_message WHERE chat_id = ANY(%s)", ids)
        there = {(chat, client_id): text for chat, client_id, text in rows}
        assert there == told, (
            f"taken and not there: {told.items() - there.items()}, there: {there.items() - told.items()}"
        )
        titles = self.sql.rows("SELECT id, title FROM chat_chat WHERE id = ANY(%s)", ids)
        assert dict(titles) == {chat.id: chat.title for chat in self.chats}
        members = self.sql.rows("SELECT chat_id, user_id FROM chat_chatmember WHERE chat_id = ANY(%s)", ids)
        assert set(members) == {(chat.id, self.users[person]) for chat in self.chats for person in chat.members}
        for name in ("first_name", "last_name", "bio"):
            rows = self.sql.rows(f"SELECT user_id, {name} FROM accounts_profile WHERE user_id = ANY(%s)", self.users)
            values = dict(rows)
            for (user, field_name), value in self.profiles.items():
                assert field_name != name or values[user] == value, f"{name} of user {user} is {values[user]!r}"
        jobs = {job for (job,) in self.sql.rows("SELECT id FROM jobs_job WHERE id = ANY(%s)", list(self.jobs))}
        assert jobs == self.jobs

    def _check_alike(self, client: int) -> None:
        deadline = time.monotonic() + ALIKE_WITHIN
        while True:
            differences = self._differences(client, min(_LOOK_AGAIN, deadline - time.monotonic()))
            if not differences:
                return
            # A job may have gone on behind the snapshot; what is lost stays lost.
            assert time.monotonic() < deadline, f"client {client} differs from a fresh snapshot in {differences}"

    def _differences(self, client: int, within: float) -> list[str]:
        fresh = LiveStore()

        def bounds_of(store: LiveStore) -> dict[str, dict[str, list[object] | None]]:
            fresh.orders = store.orders
            return store.bounds()

        bounds = self.crew.read(client, bounds_of)
        http = self._http[self.crew.person_of[client]]
        fresh.apply_snapshot(patiently(lambda: http.json("POST", "/api/live/snapshot", {"bounds": bounds})))
        wanted = fresh.canonical()
        if self.crew.wait(client, lambda store: store.canonical() == wanted, max(0.05, within)):
            return []
        has: object = self.crew.read(client, LiveStore.canonical)
        assert isinstance(has, dict)
        return [scope for scope in sorted({*has, *wanted}) if has.get(scope) != wanted.get(scope)]
