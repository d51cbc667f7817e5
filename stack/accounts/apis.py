from __future__ import annotations

from typing import Any

from django.middleware.csrf import get_token
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from stack.accounts import selectors, services
from stack.accounts.authentication import SessionAuthentication
from stack.accounts.models import User
from stack.accounts.serializers import AccountSerializer, PersonSerializer, ProfileSerializer
from stack.accounts.throttling import THROTTLES
from stack.viewer import viewer_id


class SessionSerializer(serializers.Serializer[Any]):
    user = AccountSerializer(allow_null=True)


class SignInSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, style={"input_type": "password"})


class PeopleQuery(serializers.Serializer[Any]):
    search = serializers.CharField(max_length=150, required=False, allow_blank=True)


def _session(user: Any) -> Response:
    return Response({"user": AccountSerializer(user).data if isinstance(user, User) else None})


class SessionApi(APIView):
    permission_classes = [AllowAny]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # For the anonymous too, so that no other site can sign a visitor in.
        SessionAuthentication().enforce_csrf(request)

    def get_throttles(self) -> list[BaseThrottle]:
        return [throttle() for throttle in THROTTLES] if self.request.method == "POST" else []

    @extend_schema(operation_id="session_get", responses=SessionSerializer)
    def get(self, request: Request) -> Response:
        """Who is signed in; also sets the csrftoken cookie that every writing request needs."""
        get_token(request._request)
        return _session(request.user)

    @extend_schema(operation_id="session_sign_in", request=SignInSerializer, responses=SessionSerializer)
    def post(self, request: Request) -> Response:
        """Sign in."""
        data = SignInSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        return _session(services.sign_in(request._request, **data.validated_data))

    @extend_schema(operation_id="session_sign_out", responses={204: None})
    def delete(self, request: Request) -> Response:
        """Sign out; harmless for who is not signed in."""
        services.sign_out(request._request)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ProfileApi(APIView):
    @extend_schema(operation_id="profile_get", responses=ProfileSerializer)
    def get(self, request: Request) -> Response:
        """The own profile."""
        return Response(ProfileSerializer(selectors.profile_of(viewer_id(request))).data)

    @extend_schema(operation_id="profile_update", request=ProfileSerializer, responses=ProfileSerializer)
    def patch(self, request: Request) -> Response:
        """Change the own profile."""
        data = ProfileSerializer(data=request.data, partial=True)
        data.is_valid(raise_exception=True)
        profile = services.profile_update(user_id=viewer_id(request), **data.validated_data)
        return Response(ProfileSerializer(profile).data)


class ProfileListApi(APIView):
    @extend_schema(operation_id="profile_list", responses=ProfileSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The own profile and those of everyone who shares a chat with the user."""
        return Response(ProfileSerializer(selectors.profiles_visible_to(viewer_id(request)), many=True).data)


class PeopleApi(APIView):
    @extend_schema(
        operation_id="people_list",
        parameters=[OpenApiParameter("search", str, description="Part of the user name")],
        responses=PersonSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """At most 50 active users, by name, to start a chat with."""
        query = PeopleQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        return Response(PersonSerializer(selectors.people(**query.validated_data), many=True).data)
