from __future__ import annotations

from rest_framework import serializers

from stack.accounts.models import Profile, User


class AccountSerializer(serializers.ModelSerializer[User]):
    """What only the user sees of the own account."""

    class Meta:
        model = User
        fields = ["id", "username", "email", "is_staff"]
        read_only_fields = fields


class ProfileSerializer(serializers.ModelSerializer[Profile]):
    class Meta:
        model = Profile
        fields = ["user", "first_name", "last_name", "bio"]
        read_only_fields = ["user"]


class PersonSerializer(serializers.ModelSerializer[User]):
    """What everyone signed in may see of a user."""

    class Meta:
        model = User
        fields = ["id", "username"]
        read_only_fields = fields
