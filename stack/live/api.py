"""The snapshot over HTTP: the same JSON as the socket's snapshot frame."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stack.live.snapshot import read_snapshot


class SnapshotSerializer(serializers.Serializer[Any]):
    """Shape of a snapshot; windows are described in the live protocol."""

    type = serializers.ChoiceField(choices=["snapshot"])
    user = serializers.IntegerField()
    epoch = serializers.CharField(help_text="Names one life of the event log")
    seq = serializers.IntegerField(help_text="The point of the event log at which this was read")
    scopes = serializers.DictField(child=serializers.JSONField(), help_text="Scope -> window")


class BoundsSerializer(serializers.Serializer[Any]):
    """Lower bounds that a client holds: scope -> long type -> (order key, id), null for everything."""

    bounds = serializers.DictField(
        child=serializers.DictField(
            child=serializers.ListField(
                child=serializers.IntegerField(min_value=0, max_value=2**63 - 1),
                min_length=2,
                max_length=2,
                allow_null=True,
            )
        ),
        default=dict,
    )


class SnapshotView(APIView):
    """Everything the signed-in user sees, and the point of the event log at which it was read."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(responses=SnapshotSerializer, summary="Snapshot with the newest entities of long types")
    def get(self, request: Request) -> Response:
        return Response(read_snapshot(_user_id(request)))

    @extend_schema(
        request=BoundsSerializer,
        responses=SnapshotSerializer,
        summary="Snapshot with the client's own bounds",
    )
    def post(self, request: Request) -> Response:
        asked = BoundsSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(read_snapshot(_user_id(request), bounds=asked.validated_data["bounds"]))


def _user_id(request: Request) -> int:
    assert request.user.pk is not None
    return request.user.pk
