from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connection, connections
from django.db.models.functions import Now
from kombu.exceptions import OperationalError
from rest_framework.test import APIClient

from stack.accounts.models import User
from stack.accounts.services import user_create
from stack.chat.models import Message
from stack.chat.services import chat_create, message_send
from stack.jobs import services, tasks
from stack.jobs.models import Job
from stack.live.registry import registry
from stack.live.snapshot import read_snapshot

pytestmark = pytest.mark.usefixtures("transactional_db")
KIND = Job.Kind.DATA_REPORT


@pytest.fixture
def anna(transactional_db: None) -> User:
    return user_create(username="anna", password=None, first_name="Anna")


@pytest.fixture
def client(anna: User) -> APIClient:
    client = APIClient()
    client.force_login(anna)
    return client


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[int], bool]]:
    """Tasks in place of the broker's queue: name, arguments, and whether a transaction was open."""
    found: list[tuple[str, list[int], bool]] = []
    monkeypatch.setattr(
        type(current_app._get_current_object()),  # type: ignore[attr-defined]
        "send_task",
        lambda _app, name, args: found.append((name, args, connection.in_atomic_block)),
    )
    return found


def run(job: Job, *, task_id: str = "first") -> None:
    """As a worker does."""
    tasks.data_report.apply(args=(job.pk,), task_id=task_id, throw=True)


def make_silent(job: Job, **fields: Any) -> None:
    """Let the last sign of life lie further back than a job may be silent."""
    long_ago = Now() - services.SILENT_FOR - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(updated_at=long_ago, **fields)


def commits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """State and progress of the one job after each step that was committed."""
    states: list[tuple[str, int]] = []

    def noting(function: Any) -> Any:
        def step(**arguments: Any) -> Any:
            result = function(**arguments)
            assert not connection.in_atomic_block
            job = Job.objects.get()
            if (job.state, job.progress) not in states:
                states.append((job.state, job.progress))
            return result

        return step

    for name in ("job_start", "job_progress", "job_finish", "job_fail"):
        monkeypatch.setattr(services, name, noting(getattr(services, name)))
    return states


def test_a_job_goes_to_a_worker_after_its_commit(
    client: APIClient, anna: User, sent: list[tuple[str, list[int], bool]]
) -> None:
    response = client.post("/api/jobs", {"kind": "data_report"})
    assert response.status_code == 201
    body = response.json()
    created_at = body.pop("created_at")
    assert created_at
    assert body == {
        "id": Job.objects.get().pk,
        "owner": anna.pk,
        "kind": "data_report",
        "state": "queued",
        "progress": 0,
        "result": None,
        "error": "",
    }
    assert sent == [("stack.jobs.data_report", [body["id"]], False)]
    assert client.get(f"/api/jobs/{body['id']}").json() == body | {"created_at": created_at}
    assert client.get("/api/jobs").json() == [body | {"created_at": created_at}]


def test_the_task_has_the_name_that_is_sent() -> None:
    assert tasks.data_report.name in current_app.tasks
    assert set(services.TASKS) == set(Job.Kind)
    assert set(services.TASKS.values()) == {tasks.data_report.name}


def test_an_unknown_kind(client: APIClient, sent: list[Any]) -> None:
    assert client.post("/api/jobs", {"kind": "mine_coins"}).status_code == 400
    assert not Job.objects.exists()
    assert sent == []


def test_without_a_broker_the_job_fails_and_says_so(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    monkeypatch.setattr(app.conf, "broker_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    monkeypatch.setattr(app, "_pool", None)
    response = client.post("/api/jobs", {"kind": "data_report"})
    assert response.status_code == 201
    assert response.json()["state"] == "failed"
    assert response.json()["error"] == "The job queue can't be reached at the moment. Try again later."


def test_the_report_is_what_the_owner_sees(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    ben, clara = (user_create(username=name, password=None) for name in ("ben", "clara"))
    shared = chat_create(owner_id=ben.pk, member_ids=[anna.pk])
    hidden = chat_create(owner_id=ben.pk, member_ids=[clara.pk])
    for chat in (shared, hidden):
        message_send(chat_id=chat.pk, sender_id=ben.pk, client_id=uuid.uuid4(), text="grüße")
    job = Job.objects.create(owner=anna, kind=KIND)
    steps = commits(monkeypatch)
    run(job)
    job.refresh_from_db()
    assert (job.state, job.progress, job.error) == ("done", 100, "")
    assert job.result is not None
    types = job.result["types"]
    counts = {name: total["count"] for name, total in types.items()}
    assert counts == {
        "account": 1,
        "profile": 2,
        "chat": 1,
        "member": 2,
        "message": 1,
        "read_mark": 0,
        "job": 1,
    }
    assert set(counts) == set(registry.entities)
    (message,) = read_snapshot(anna.pk)["scopes"][f"chat:{shared.pk}"]["entities"]["message"]
    assert types["message"]["bytes"] == len(json.dumps(message, separators=(",", ":")).encode())
    assert steps[0] == ("running", 0)
    assert steps[-1] == ("done", 100)
    assert len(steps) >= 7
    progress = [value for _, value in steps]
    assert progress == sorted(progress)


def test_even_a_small_report_has_five_steps(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job.objects.create(owner=anna, kind=KIND)
    steps = commits(monkeypatch)
    run(job)
    assert len(steps) >= 5


def test_long_types_are_counted_to_their_beginning(anna: User) -> None:
    chat = chat_create(owner_id=anna.pk)
    Message.objects.bulk_create(Message(chat=chat, sender=anna, number=n, text="x") for n in range(1, 161))
    job = Job.objects.create(owner=anna, kind=KIND)
    run(job)
    job.refresh_from_db()
    assert job.result is not None
    assert job.result["types"]["message"]["count"] == 160


@pytest.mark.parametrize("state", [Job.State.DONE, Job.State.FAILED])
def test_a_task_given_again_after_the_end_does_nothing(anna: User, state: Job.State) -> None:
    job = Job.objects.create(owner=anna, kind=KIND, state=state, progress=40, error="as it was")
    run(job)
    job.refresh_from_db()
    assert (job.state, job.progress, job.result, job.error) == (state, 40, None, "as it was")


def test_a_task_given_again_after_its_worker_died_begins_again(anna: User) -> None:
    job = Job.objects.create(owner=anna, kind=KIND, state=Job.State.RUNNING, progress=60, task_id="first", starts=1)
    run(job)
    job.refresh_from_db()
    assert (job.state, job.progress) == ("done", 100)


def test_a_task_of_a_deleted_job_does_nothing() -> None:
    tasks.data_report.apply(args=(10**9,), throw=True)
    assert not Job.objects.exists()


def test_a_failing_task_tells_its_owner_without_details(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job.objects.create(owner=anna, kind=KIND)

    def fail(*_: Any) -> Any:
        raise RuntimeError("a secret")

    monkeypatch.setattr("stack.jobs.report.read_scope", fail)
    with pytest.raises(RuntimeError):
        run(job)
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "The report failed. It has been logged.")


def test_a_finished_job_stays_as_it_is(anna: User) -> None:
    job = Job.objects.create(owner=anna, kind=KIND, state=Job.State.DONE, progress=100)
    assert not services.job_progress(job_id=job.pk, task_id="", progress=10)
    services.job_fail(job_id=job.pk, task_id="", error="late")
    services.job_finish(job_id=job.pk, task_id="", result={"late": True})
    job.refresh_from_db()
    assert (job.state, job.progress, job.error, job.result) == ("done", 100, "", None)


# Lost tasks and dead workers


@pytest.mark.parametrize("state", [Job.State.QUEUED, Job.State.RUNNING])
def test_a_silent_job_is_given_to_a_worker_again(
    anna: User, sent: list[tuple[str, list[int], bool]], state: Job.State
) -> None:
    job = Job.objects.create(owner=anna, kind=KIND, state=state, progress=40, task_id="dead")
    assert services.jobs_resend() == 0
    make_silent(job)
    assert services.jobs_resend() == 1
    assert sent == [("stack.jobs.data_report", [job.pk], False)]
    job.refresh_from_db()
    assert (job.state, job.progress) == ("queued", 40)
    # Its task is on its way: not again before it was silent for as long.
    assert services.jobs_resend() == 0
    run(job, task_id="second")
    job.refresh_from_db()
    assert (job.state, job.progress, job.starts) == ("done", 100, 1)


@pytest.mark.parametrize("state", [Job.State.DONE, Job.State.FAILED])
def test_what_is_over_is_not_given_again(anna: User, sent: list[Any], state: Job.State) -> None:
    make_silent(Job.objects.create(owner=anna, kind=KIND, state=state))
    assert services.jobs_resend() == 0
    assert sent == []


def test_two_workers_that_look_at_once_give_it_once(anna: User, sent: list[Any]) -> None:
    jobs = [Job.objects.create(owner=anna, kind=KIND) for _ in range(20)]
    for job in jobs:
        make_silent(job)

    def look(_: int) -> int:
        try:
            return services.jobs_resend()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(look, range(4)))
    assert sum(counts) == 20
    assert sorted(arguments[0] for _, arguments, _ in sent) == [job.pk for job in jobs]


def test_two_tasks_of_one_job_run_it_once(anna: User) -> None:
    job = Job.objects.create(owner=anna, kind=KIND)

    def start(number: int) -> bool:
        try:
            return services.job_start(job_id=job.pk, task_id=f"task {number}") is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(8))).count(True) == 1
    job.refresh_from_db()
    assert job.starts == 1


def test_a_worker_that_was_given_up_changes_nothing_more(anna: User, sent: list[Any]) -> None:
    job = Job.objects.create(owner=anna, kind=KIND)
    assert services.job_start(job_id=job.pk, task_id="frozen")
    make_silent(job)
    services.jobs_resend()
    assert not services.job_progress(job_id=job.pk, task_id="frozen", progress=80)
    assert services.job_start(job_id=job.pk, task_id="second")
    assert services.job_start(job_id=job.pk, task_id="frozen") is None
    assert not services.job_progress(job_id=job.pk, task_id="frozen", progress=80)
    services.job_finish(job_id=job.pk, task_id="frozen", result={"late": True})
    services.job_fail(job_id=job.pk, task_id="frozen", error="late")
    job.refresh_from_db()
    assert (job.state, job.progress, job.result, job.task_id) == ("running", 0, None, "second")


def test_a_task_whose_job_went_to_another_ends(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job.objects.create(owner=anna, kind=KIND)
    steps = []

    def lose_it(*_: Any) -> Any:
        yield 0.5
        Job.objects.update(task_id="another")
        yield 0.7
        steps.append("went on")
        yield 0.9

    monkeypatch.setattr("stack.jobs.report.data_report", lose_it)
    run(job)
    job.refresh_from_db()
    assert (job.state, job.progress, job.task_id) == ("running", 50, "another")
    assert steps == []


def test_every_step_is_a_sign_of_life_and_progress_never_goes_back(anna: User, sent: list[Any]) -> None:
    job = Job.objects.create(owner=anna, kind=KIND)
    services.job_start(job_id=job.pk, task_id="first")
    services.job_progress(job_id=job.pk, task_id="first", progress=50)
    for progress in (50, 30):
        make_silent(job)
        assert services.job_progress(job_id=job.pk, task_id="first", progress=progress)
        assert services.jobs_resend() == 0
    job.refresh_from_db()
    assert job.progress == 50


def test_a_job_that_ends_its_worker_each_time_is_given_up(anna: User, sent: list[Any]) -> None:
    job = Job.objects.create(owner=anna, kind=KIND)
    for number in range(services.MOST_STARTS):
        assert services.job_start(job_id=job.pk, task_id=f"task {number}")
        make_silent(job)
        services.jobs_resend()
    assert services.job_start(job_id=job.pk, task_id="one more") is None
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "The job was given up: its worker died each time.")
    assert len(sent) == services.MOST_STARTS - 1


def test_without_a_broker_the_next_round_tries_again(anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(type(current_app._get_current_object()), "send_task", away)  # type: ignore[attr-defined]
    job = Job.objects.create(owner=anna, kind=KIND)
    make_silent(job)
    assert services.jobs_resend() == 0
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_sign_of_life_is_no_event(anna: User) -> None:
    entity = registry.entities["job"]
    assert not {"updated_at", "task_id", "starts"} & {*entity.synced_columns, *entity.data_fields}
