from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Exists, F
from rest_framework import serializers

from stack import live
from stack.live import registry as registries
from stack.live.checks import check_entities
from stack.live.registry import Registry
from stack.live.scopes import ScopeTemplate

User = get_user_model()


class PermissionSerializer(serializers.ModelSerializer[Permission]):
    class Meta:
        model = Permission
        fields = ["id", "codename", "content_type"]


class FollowingSerializer(serializers.ModelSerializer[Permission]):
    app = serializers.CharField(source="content_type.app_label")

    class Meta:
        model = Permission
        fields = ["id", "app"]


class NestedSerializer(serializers.ModelSerializer[Permission]):
    class Meta:
        model = Permission
        fields = ["id", "content_type"]
        depth = 1


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    empty = Registry()
    monkeypatch.setattr(registries, "registry", empty)
    monkeypatch.setattr("stack.live.checks.registry", empty)
    return empty


def test_synced_columns_are_key_scope_order_and_data(registry: Registry) -> None:
    live.register(Permission, serializer=PermissionSerializer, scope="kind:{content_type_id}")
    assert registry.entities["permission"].synced_columns == ("id", "content_type_id", "codename")


@pytest.mark.parametrize("serializer", [FollowingSerializer, NestedSerializer])
def test_data_beyond_the_row_is_an_error_of_check(registry: Registry, serializer: Any) -> None:
    live.register(Permission, serializer=serializer, scope="kind:{content_type_id}")
    (error,) = check_entities()
    assert error.id == "live.E001"
    assert "on the client" in error.msg or "PrimaryKeyRelatedField" in error.msg


@pytest.mark.parametrize("scope", ["", "Chat:{id}", "chat:{id", "chat {id}", "chat:{}", "chat:{id}:x"])
def test_a_scope_that_cannot_be_read_is_refused(scope: str) -> None:
    with pytest.raises(live.LiveConfigurationError, match="is no scope"):
        live.register(Permission, serializer=PermissionSerializer, scope=scope)


def test_a_scope_of_columns_the_model_lacks_is_refused() -> None:
    with pytest.raises(live.LiveConfigurationError, match="no column"):
        live.register(Permission, serializer=PermissionSerializer, scope="chat:{chat_id}")


def test_a_type_is_registered_once() -> None:
    live.register(Permission, serializer=PermissionSerializer, scope="everyone")
    with pytest.raises(live.LiveConfigurationError, match="twice"):
        live.register(Permission, serializer=PermissionSerializer, scope="everyone")


@pytest.mark.parametrize("scope", ["user:{id}", "everyone"])
def test_implicit_scopes_take_no_membership(scope: str) -> None:
    with pytest.raises(live.LiveConfigurationError, match="implicit"):
        live.membership(scope, User.objects.values("id", viewer=F("id")))


def test_a_membership_gives_the_scopes_columns_and_the_viewer() -> None:
    with pytest.raises(live.LiveConfigurationError, match=r"must give \['id', 'viewer'\]"):
        live.membership("note:{id}", User.objects.values("id"))


def test_a_query_of_one_table_narrows_itself(registry: Registry) -> None:
    live.membership("note:{id}", User.objects.values("id", viewer=F("pk")))
    (membership,) = registry.memberships.values()
    (narrow,) = membership.narrow.values()
    assert narrow({"id": 7}) == [{"id": 7, "viewer": 7}]


def test_a_query_with_a_join_is_evaluated_whole(registry: Registry) -> None:
    live.membership("note:{id}", User.objects.values("id", viewer=F("groups__id")))
    (membership,) = registry.memberships.values()
    assert membership.narrow == {}


@pytest.mark.parametrize(
    "narrowed",
    [
        User.objects.filter(Exists(User.objects.filter(is_staff=True))),
        User.objects.filter(pk__in=User.objects.filter(is_staff=True)),
        User.objects.filter(pk=F("id") + 1),
    ],
)
def test_a_query_that_looks_beyond_its_own_row_is_evaluated_whole(registry: Registry, narrowed: Any) -> None:
    live.membership("note:{id}", narrowed.values("id", viewer=F("pk")))
    (membership,) = registry.memberships.values()
    assert membership.narrow == {}


def test_a_plain_condition_still_narrows(registry: Registry) -> None:
    live.membership("note:{id}", User.objects.filter(is_staff=True, pk__in=[1, 2]).values("id", viewer=F("pk")))
    (membership,) = registry.memberships.values()
    assert membership.narrow


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"scope": "kind:{codename}"}, "cannot be part of a scope's name"),
        ({"scope": "everyone", "window": 5, "order": "codename"}, "must be a whole number"),
        ({"scope": "everyone", "window": 5, "order": "name"}, "lacks 'name'"),
    ],
)
def test_what_clients_could_not_work_with_is_an_error_of_check(
    registry: Registry, options: dict[str, Any], problem: str
) -> None:
    live.register(Permission, serializer=PermissionSerializer, **options)
    assert any(problem in error.msg for error in check_entities())


def test_a_way_of_writing_of_ones_own_is_an_error_of_check(registry: Registry) -> None:
    class Own(PermissionSerializer):
        def to_representation(self, instance: Permission) -> dict[str, Any]:
            return {}

    live.register(Permission, serializer=Own, scope="everyone")
    assert any("in a way of its own" in error.msg for error in check_entities())


class TestScopeTemplate:
    def test_it_names_and_parses(self) -> None:
        template = ScopeTemplate("room:{a}:{b}")
        assert template.name({"a": 1, "b": "x"}) == "room:1:x"
        assert template.parse("room:1:x") == ("1", "x")
        assert template.parse("room:1") is None
        assert template.parse("hall:1:x") is None

    def test_a_row_with_a_null_lies_nowhere(self) -> None:
        assert ScopeTemplate("room:{a}").name({"a": None}) is None
