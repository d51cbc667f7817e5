from __future__ import annotations

from stack import live
from stack.jobs.models import Job
from stack.jobs.serializers import JobSerializer

live.register(Job, serializer=JobSerializer, scope="user:{owner_id}")
