from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stack.jobs import selectors, services
from stack.jobs.models import Job
from stack.jobs.serializers import JobCreateSerializer, JobSerializer
from stack.viewer import viewer_id


class JobListApi(APIView):
    @extend_schema(operation_id="job_list", responses=JobSerializer(many=True))
    def get(self, request: Request) -> Response:
        """One's newest 50 jobs, newest first."""
        return Response(JobSerializer(selectors.jobs_of(viewer_id(request)), many=True).data)

    @extend_schema(operation_id="job_create", request=JobCreateSerializer, responses={201: JobSerializer})
    def post(self, request: Request) -> Response:
        """Start a job; its progress is live."""
        data = JobCreateSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        job = services.job_create(owner_id=viewer_id(request), kind=Job.Kind(data.validated_data["kind"]))
        return Response(JobSerializer(job).data, status=status.HTTP_201_CREATED)


class JobApi(APIView):
    @extend_schema(operation_id="job_get", responses=JobSerializer)
    def get(self, request: Request, job_id: int) -> Response:
        return Response(JobSerializer(selectors.job_of(viewer_id(request), job_id)).data)
