from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from harness.play.errors import NobodyLeft, PeopleFileError
from harness.play.people import Person, Pool, read_people

ADMIN = Person(name="admin", role="admin", password="secret-word")


def people(*names: str) -> list[Person]:
    return [Person(name=name, password=f"{name}-word") for name in names]


def test_a_role_is_played_by_the_person_of_that_name() -> None:
    pool = Pool(people("alice", "bob", "carol"))
    assert {role: person.name for role, person in pool.borrow(["carol", "bob"]).items()} == {
        "carol": "carol",
        "bob": "bob",
    }


def test_a_role_is_played_by_another_where_that_person_is_busy() -> None:
    pool = Pool(people("alice", "bob"))
    pool.borrow(["bob"])
    assert pool.borrow(["bob"])["bob"].name == "alice"


def test_nobody_plays_two_roles() -> None:
    lent = Pool(people("actor-1", "bob", "actor-2")).borrow(["alice", "bob", "carol"])
    assert lent["bob"].name == "bob"
    assert len({person.name for person in lent.values()}) == 3


def test_all_or_none_are_lent() -> None:
    pool = Pool(people("alice", "bob", "carol"))
    pool.borrow(["alice"])
    with pytest.raises(NobodyLeft, match="on other stages"):
        pool.borrow(["alice", "bob", "carol"])
    assert len(pool.borrow(["bob", "carol"])) == 2


def test_people_come_back() -> None:
    pool = Pool(people("alice"))
    pool.give_back(pool.borrow(["alice"]).values())
    assert pool.borrow(["alice"])["alice"].name == "alice"


def test_admins_are_lent_as_admins_alone() -> None:
    pool = Pool([*people("alice"), ADMIN])
    with pytest.raises(NobodyLeft, match="2 people with role 'user' are needed and the stack has 1"):
        pool.borrow(["alice", "bob"])
    assert pool.borrow(["admin"], role="admin")["admin"] is ADMIN


def test_too_few_people_is_said_at_once_however_patient_the_pool_is() -> None:
    with pytest.raises(NobodyLeft) as caught:
        Pool(people("alice"), patience=60).borrow(["alice", "bob"])
    assert "harness manage actors" in caught.value.hint


def test_stages_take_turns_and_one_warning_says_so() -> None:
    warnings: list[str] = []
    waiting, played = threading.Event(), []

    def warn(text: str) -> None:
        warnings.append(text)
        waiting.set()

    pool = Pool(people("alice", "bob", "carol"), patience=30, warn=warn)
    first = pool.borrow(["alice", "bob"])

    def play() -> None:
        lent = pool.borrow(["alice", "bob"])
        played.append(lent)
        pool.give_back(lent.values())

    others = [threading.Thread(target=play) for _ in range(3)]
    for other in others:
        other.start()
    assert waiting.wait(10)
    assert not played
    pool.give_back(first.values())
    for other in others:
        other.join(10)
    assert len(played) == 3
    assert len(warnings) == 1
    assert "take turns" in warnings[0]


def test_secrets_are_not_shown() -> None:
    shown = repr([ADMIN, Person(name="x", session="session-key")])
    assert "secret-word" not in shown
    assert "session-key" not in shown


def test_people_are_read_from_both_kinds_of_files(tmp_path: Path) -> None:
    actors, up = tmp_path / "actors.json", tmp_path / "up.json"
    actors.write_text(json.dumps([{"name": "actor-1", "user": 3, "session": "key", "role": "user"}]))
    up.write_text(json.dumps({"run": "r", "users": [{"name": "bob", "password": "word", "role": "admin"}]}))
    assert read_people(actors) == [Person(name="actor-1", session="key")]
    assert read_people(up) == [Person(name="bob", password="word", role="admin")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[", "not JSON"),
        ("[]", "no list of people"),
        ("{}", "no list of people"),
        ('[{"name": "bob"}]', '"password" or a "session"'),
        ('[{"session": "key"}]', 'needs a "name"'),
        ("[7]", 'needs a "name"'),
    ],
)
def test_a_bad_file_is_explained(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "people.json"
    file.write_text(content)
    with pytest.raises(PeopleFileError, match=complaint) as caught:
        read_people(file)
    assert str(file) in str(caught.value)
    assert caught.value.hint


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(PeopleFileError, match="No such file"):
        read_people(tmp_path / "people.json")
