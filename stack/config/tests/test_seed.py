from __future__ import annotations

import json
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from stack.accounts.models import Profile, User
from stack.accounts.services import user_create
from stack.chat.models import Chat, ChatMember, Message, ReadMark
from stack.config.environment import StackEnv
from stack.config.seeding import seed

pytestmark = pytest.mark.django_db
NAMES = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "admin"]


def contents() -> list[list[object]]:
    return [
        list(model.objects.order_by("pk").values()) for model in (User, Profile, Chat, ChatMember, Message, ReadMark)
    ]


def test_what_is_made() -> None:
    seeded = seed()
    assert [user.name for user in seeded.users] == NAMES
    assert [user.role for user in seeded.users] == ["user"] * 10 + ["admin"]
    assert User.objects.filter(is_superuser=True).get().username == "admin"
    assert Profile.objects.exclude(first_name="").count() == 11
    assert Chat.objects.count() == 10 * 9 // 2
    pairs = {
        frozenset(chat.members.values_list("user__username", flat=True))
        for chat in Chat.objects.prefetch_related("members")
    }
    assert len(pairs) == 45
    assert {len(pair) for pair in pairs} == {2}
    for chat in Chat.objects.all():
        numbers = list(chat.messages.order_by("number").values_list("number", flat=True))
        assert numbers == list(range(1, chat.last_number + 1))
        assert numbers
        sent = list(chat.messages.order_by("number").values_list("created_at", flat=True))
        assert sent == sorted(sent)
        assert sent[-1] < timezone.now()
        # Who had the last word has read everything, the other one at least what was there to be answered.
        last = chat.messages.get(number=chat.last_number).sender_id
        for user, number in chat.read_marks.values_list("user", "number"):
            assert number == chat.last_number or (user != last and number == chat.last_number - 1)
        assert chat.read_marks.count() == 2


def test_some_have_something_to_read_and_some_have_not() -> None:
    seed()
    unread = Chat.objects.filter(read_marks__number__lt=F("last_number")).count()
    assert 0 < unread < Chat.objects.count()


def test_again_changes_nothing(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    seed()
    before = contents()
    with django_assert_max_num_queries(8):
        again = seed()
    assert (again.new_users, again.new_chats) == ([], 0)
    assert contents() == before


def test_what_people_delete_stays_deleted() -> None:
    seed()
    Chat.objects.all()[0].delete()
    seed()
    assert Chat.objects.count() == 44


def test_a_missing_user_comes_back_with_chats() -> None:
    seed()
    User.objects.get(username="judy").delete()
    Chat.objects.exclude(members__role=ChatMember.Role.MEMBER).delete()
    assert [user.name for user in seed().new_users] == ["judy"]
    assert ChatMember.objects.filter(user__username="judy").count() == 9


def test_passwords_are_known_in_development(settings: Settings) -> None:
    settings.STACK_ENV = StackEnv.DEVELOPMENT
    for user in seed().users:
        body = {"username": user.name, "password": f"{user.name}-demo"}
        assert user.password == body["password"]
        assert APIClient().post("/api/session", body).status_code == 200


@pytest.mark.parametrize("stack_env", [StackEnv.TEST, StackEnv.PRODUCTION])
def test_passwords_elsewhere_are_generated_and_told_once(settings: Settings, stack_env: StackEnv) -> None:
    settings.STACK_ENV = stack_env
    first = seed().users
    passwords = {user.password for user in first}
    assert len(passwords) == 11
    assert all(password is not None and len(password) >= 24 for password in passwords)
    assert all(User.objects.get(pk=user.id).check_password(user.password or "") for user in first)
    assert not any(str(user.password) in repr(user) for user in first)
    assert {user.password for user in seed().users} == {None}


def test_file_of_users_is_private(tmp_path: Path, settings: Settings) -> None:
    file = tmp_path / "users.json"
    file.write_text("old")
    file.chmod(0o644)
    out = StringIO()
    settings.STACK_ENV = StackEnv.DEVELOPMENT
    call_command("seed", users=file, stdout=out)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    users = json.loads(file.read_text())
    assert users[0] == {"name": "alice", "password": "alice-demo", "role": "user"}
    assert users[-1] == {"name": "admin", "password": "admin-demo", "role": "admin"}
    assert "alice-demo" not in out.getvalue()
    assert [path.name for path in tmp_path.iterdir()] == ["users.json"]


def test_json_and_nothing_else() -> None:
    out = StringIO()
    call_command("seed", json=True, stdout=out)
    assert [user["name"] for user in json.loads(out.getvalue())] == NAMES


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        call_command("seed", users=tmp_path / "missing" / "users.json", stdout=StringIO())
    # Nobody could ever sign in as them.
    assert not User.objects.exists()


def test_seeding_again_keeps_the_passwords_in_the_file(tmp_path: Path, settings: Settings) -> None:
    settings.STACK_ENV = StackEnv.PRODUCTION
    file = tmp_path / "users.json"
    call_command("seed", users=file, stdout=StringIO())
    first = json.loads(file.read_text())
    assert all(len(user["password"]) >= 24 for user in first)
    call_command("seed", users=file, stdout=StringIO())
    assert json.loads(file.read_text()) == first


@pytest.mark.parametrize("options", [{}, {"json": True}, {"json": True, "users": Path("users.json")}])
def test_production_never_prints_passwords(settings: Settings, options: dict[str, object]) -> None:
    settings.STACK_ENV = StackEnv.PRODUCTION
    out = StringIO()
    with pytest.raises(CommandError, match="use seed --users FILE"):
        call_command("seed", stdout=out, **options)
    assert out.getvalue() == ""
    assert not User.objects.exists()


@pytest.mark.parametrize("stack_env", [StackEnv.DEVELOPMENT, StackEnv.TEST])
def test_people_whom_the_seed_did_not_make_get_no_test_users(settings: Settings, stack_env: StackEnv) -> None:
    settings.STACK_ENV = stack_env
    user_create(username="root", password=None, is_admin=True)
    # A name alone says nothing: there are real people called Alice.
    user_create(username="alice", password=None, email="alice@real.example")
    with pytest.raises(CommandError, match=r"users whom the seed did not make.*name another database"):
        call_command("seed", stdout=StringIO())
    assert User.objects.count() == 2
    settings.STACK_ENV = StackEnv.PRODUCTION
    assert len(seed().new_users) == 10


def test_people_beside_the_seeded_ones_are_no_reason_to_refuse(settings: Settings) -> None:
    settings.STACK_ENV = StackEnv.DEVELOPMENT
    seed()
    user_create(username="newcomer", password=None)
    User.objects.get(username="admin").delete()
    assert [user.name for user in seed().new_users] == ["admin"]
