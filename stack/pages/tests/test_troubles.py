"""Pages when something is wrong: shells, clients that leave, and what health checks tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from stack.pages import data, process, view
from stack.pages.front import Front
from stack.pages.tests.conftest import World
from stack.pages.tests.test_shell import data_in
from stack.pages.tests.wire import (
    Answer,
    Behaviour,
    ask,
    echoes,
    freezes,
    get,
    page_data,
    rendered,
    renderer,
    run,
    says,
)

NewFront = Callable[..., Front]


class TestShells:
    @pytest.mark.parametrize(
        ("behaviour", "reason"),
        [
            (says(status="500 Internal Server Error"), "status"),
            (says(content_type="text/plain"), "invalid"),
            (freezes, "timeout"),
        ],
        ids=["fails", "answers nonsense", "freezes"],
    )
    def test_the_same_data_in_the_shell(
        self, new_front: NewFront, world: World, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, reason: str
    ) -> None:
        monkeypatch.setattr(process, "BUDGET", 0.3)
        before = process.status()["shells"].get(reason, 0)
        path = f"/chats/{world.chat}/"
        answer, fake = rendered(new_front, path, session=world.sessions["member"], behaviour=behaviour)
        assert answer.status == 200
        assert (answer["X-Rendered-By"], answer["X-Shell-Reason"]) == ("shell", reason)
        assert b"shell of /chats/[id]" in answer.body
        assert data_in(answer.body) == json.loads(fake.seen[0].body)
        assert process.status()["shells"][reason] == before + 1

    def test_without_a_renderer(self, new_front: NewFront) -> None:
        answer = get(new_front(), "/sign-in/")
        assert (answer.status, answer["X-Rendered-By"], answer["X-Shell-Reason"]) == (200, "shell", "off")

    def test_of_the_404_page(self, new_front: NewFront) -> None:
        answer = get(new_front(), "/</script><script>alert(1)</script>/")
        assert answer.status == 404
        assert b"shell of /404" in answer.body
        assert b"<script>alert" not in answer.body

    def test_a_broken_surrogate_in_the_address(self, new_front: NewFront) -> None:
        assert get(new_front(), "/\ud800/").status == 404

    def test_without_a_build(self, new_front: NewFront) -> None:
        answer = get(new_front(build=False), "/sign-in/")
        assert answer.status == 503
        assert "python3 noxfile.py -s build" in answer.text
        assert not answer["X-Rendered-By"]
        assert answer["X-Shell-Reason"] == "off"

    def test_with_a_renderer_a_build_is_not_needed(self, new_front: NewFront) -> None:
        async def work() -> Answer | None:
            async with renderer(says()) as fake:
                return await ask(new_front(fake.url, build=False), "/sign-in/")

        answer = run(work())
        assert answer is not None
        assert answer.status == 200

    def test_without_the_database(
        self, new_front: NewFront, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise OperationalError("could not connect to 10.1.2.3")

        monkeypatch.setattr(view, "read", fail)
        answer, fake = rendered(new_front, "/chats/42/", session="a" * 32)
        assert (answer.status, answer["Retry-After"]) == (503, "2")
        assert (answer["X-Rendered-By"], answer["X-Shell-Reason"]) == ("shell", "database")
        assert b"shell of /chats/[id]" in answer.body
        assert b"page-data" not in answer.body
        assert not fake.seen
        assert "10.1.2.3" not in caplog.text

    def test_a_database_that_does_not_answer(self, new_front: NewFront, monkeypatch: pytest.MonkeyPatch) -> None:
        async def hang(*_: Any, **__: Any) -> Any:
            await asyncio.Future()

        monkeypatch.setattr(view, "READ_WITHIN", 0.1)
        monkeypatch.setattr(data.threads, "run", hang)
        assert get(new_front(), "/chats/", session="a" * 32)["X-Shell-Reason"] == "database"

    def test_a_failure_of_our_own(
        self, new_front: NewFront, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise ImproperlyConfigured("secret")

        monkeypatch.setattr(view, "read", fail)
        answer = get(new_front(), "/a\nb/", session="a" * 32)
        assert answer.status == 500
        assert "secret" not in answer.text
        # Nobody writes lines of their own into the log.
        assert [record.message for record in caplog.records] == ["A page failed: '/a\\nb/'"]


class TestClients:
    def test_one_that_leaves_ends_the_question_to_the_renderer(
        self, new_front: NewFront, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Longer than the test: nothing else ends the question.
        monkeypatch.setattr(process, "BUDGET", 600)

        async def work() -> None:
            async with renderer(freezes) as fake:
                gone = asyncio.Event()
                asked = asyncio.ensure_future(ask(new_front(fake.url), "/sign-in/", gone=gone))
                await fake.arrived.wait()
                gone.set()
                assert await asked is None
                await fake.left.wait()

        run(work())

    def test_each_event_loop_has_connections_of_its_own(self, new_front: NewFront) -> None:
        async def work() -> int:
            async with renderer(says()) as fake:
                front = new_front(fake.url)
                for _ in range(3):
                    assert (await ask(front, "/sign-in/") or pytest.fail("nothing")).status == 200
                assert len(process.status()["renderers"]) == 1
                return id(process.renderers())

        assert run(work()) != run(work())
        assert process.status()["renderers"] == []

    def test_many_viewers_at_once_get_their_own(self, new_front: NewFront, world: World) -> None:
        async def work() -> None:
            async with renderer(echoes) as fake:
                front = new_front(fake.url)
                names = ["member", "owner", "stranger", "admin"] * 5
                answers = await asyncio.gather(*(ask(front, "/profile/", session=world.sessions[n]) for n in names))
                for name, answer in zip(names, answers, strict=True):
                    assert answer is not None
                    assert page_data(answer)["user"] == world.users[name].pk

        run(work())


class TestHealth:
    def test_pages_in_numbers(self, new_front: NewFront) -> None:
        before = process.status()["rendered"]
        rendered(new_front, "/sign-in/")
        assert process.status()["rendered"] == before + 1

    def test_renderers_that_fail_are_told(self, new_front: NewFront) -> None:
        async def work() -> list[str | None]:
            async with renderer(says(status="500 Oops")) as fake:
                front = new_front(fake.url)
                found = [process.trouble()]
                for _ in range(3):
                    await ask(front, "/sign-in/")
                assert process.status()["renderers"] == ["open"]
                return [*found, process.trouble()]

        assert run(work()) == [None, "1 of 1 renderers fail: pages are shells"]
