from __future__ import annotations

from rest_framework import serializers

from stack.jobs.models import Job


class JobSerializer(serializers.ModelSerializer[Job]):
    class Meta:
        model = Job
        fields = ["id", "owner", "kind", "state", "progress", "result", "error", "created_at"]
        read_only_fields = fields


class JobCreateSerializer(serializers.Serializer[Job]):
    kind = serializers.ChoiceField(choices=Job.Kind.choices)
